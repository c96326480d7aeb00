"""What a reward source needs to know of absorbing states."""

from dataclasses import dataclass

from rlgen.errors import problem


def require_discount(gamma: float) -> None:
    """Raises `InputError` for a discount under which the return of an absorbing state has no limit."""
    if not 0 <= gamma < 1:
        raise problem(
            "a discount below 1 with absorbing states, whose return is infinite otherwise",
            f"gamma {gamma:g}",
            'use e.g. 0.99, or AdversarialConfig(absorbing="off"), --gail.discriminator.absorbing off',
        )


@dataclass(frozen=True, kw_only=True)
class AbsorbingStates:
    """What a discriminator needs to know of absorbing states (`rlgen.equations.absorbing_states`)."""

    gamma: float
    """Discount factor of the learner, below 1."""
    expert_share: float
    """Share of absorbing rows among the demonstrated rows."""

    def __post_init__(self) -> None:
        require_discount(self.gamma)
