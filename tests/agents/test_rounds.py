"""What happens between two rounds, and when."""

import math

import pytest

from rlgen.agents.commands.policy_training import Rounds
from rlgen.agents.session import Every, Session
from rlgen.system.interrupt import Stopped


@pytest.mark.parametrize("start", [0, 64, 128, 192])
def test_every_counts_in_multiples_wherever_it_starts(start: int) -> None:
    every = Every.from_step(100, start)
    assert [now for now in range(start, 512, 64) if every.due(now)] == [
        now for now in (128, 256, 320, 448) if now > start
    ]


def test_an_interval_of_infinity_never_comes() -> None:
    assert not Every.from_step(math.inf, 0).due(10**12)


class Rest:
    """A `Trainable` of single rounds of 64 steps, and a session of it that logs what it does."""

    def __init__(self, save_every: float, evaluate_every: float, stop_at: float = math.inf):
        self.log: list[tuple[str, int]] = []
        self.step, self.stop_at = 0, stop_at
        self.session = Session(
            folder=None, trainable=self, metrics=None, steps=320, save_every=save_every, evaluate_every=evaluate_every
        )  # type: ignore[arg-type]
        self.session.save = lambda final=False: self.log.append(("save", self.step))  # type: ignore[method-assign]
        self.session.evaluate = lambda last=False: self.log.append(("evaluate", self.step))  # type: ignore[method-assign]
        self.session.interrupt = self  # type: ignore[assignment]

    @property
    def requested(self) -> bool:
        return self.step >= self.stop_at

    def run(self) -> "Rest":
        self.session.begin()
        for self.step in (0, 64, 128, 192, 256):
            self.session.between()
        return self

    def of(self, what: str) -> list[int]:
        return [step for name, step in self.log if name == what]


def test_saving_and_evaluation_come_in_their_intervals() -> None:
    found = Rest(save_every=128, evaluate_every=100).run()
    assert found.of("save") == [128, 256]
    assert found.of("evaluate") == [128, 256]


def test_saving_every_zero_steps_is_after_every_round_and_evaluating_is_never() -> None:
    found = Rest(save_every=0, evaluate_every=0).run()
    assert found.of("save") == [64, 128, 192, 256]
    assert found.of("evaluate") == []


def test_saving_after_infinitely_many_steps_is_never() -> None:
    assert Rest(save_every=math.inf, evaluate_every=math.inf).run().log == []


def test_an_evaluation_comes_after_the_checkpoint_from_which_a_kill_in_it_goes_on() -> None:
    found = Rest(save_every=128, evaluate_every=128).run()
    assert [line for line in found.log if line[1] == 128] == [("save", 128), ("evaluate", 128)]


def test_a_stop_saves_at_once_and_leaves_the_evaluation_to_the_resumed_run() -> None:
    found = Rest(save_every=1e9, evaluate_every=128, stop_at=128)
    with pytest.raises(Stopped):
        found.run()
    assert found.log == [("save", 128)]
    assert found.session.unevaluated


def test_an_observer_is_told_of_each_round_of_a_model(point_ppo) -> None:
    seen: list[tuple[str, int]] = []

    class Watch:
        def between(self) -> None:
            seen.append(("between", model.num_timesteps))

        def show(self, values) -> None:
            seen.append(("show", model.num_timesteps))

    model = point_ppo()
    rounds = Rounds(Watch(), {})  # type: ignore[arg-type]
    model.learn(192, rounds)
    assert [step for name, step in seen if name == "between"] == [0, 64, 128]
    assert seen[1] == ("show", 64)
