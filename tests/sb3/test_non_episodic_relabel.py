"""Rewards with non-episodic returns in a rollout, in environments whose episodes end where a script says."""

from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import CallbackList

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.rewards import BonusValue, BonusValueConfig, ReturnNormalizer
from rlgen.sb3 import DevicePPO, FastPPO, Relabel, WeightedReward

from .test_relabel import (
    ENDS,
    ENVS,
    GAMMA,
    LAMBDA,
    STEPS,
    TASK_REWARD,
    TIME_LIMIT,
    Snapshot,
    Source,
    by_observation,
    flags,
    make_model,
    roll,
)
from .worlds import aiming

CONFIG = BonusValueConfig(gamma=0.7, hidden=(8,))


def bonus_value() -> BonusValue:
    """A value function that is not flat, as after some learning."""
    torch.manual_seed(3)
    value = BonusValue(3, ENVS, CONFIG, "cpu")
    torch.nn.init.normal_(value.network[-1].weight)
    return value


def apart(weight: float = 1.0, value: BonusValue | None = None) -> WeightedReward:
    return WeightedReward(Source(by_observation), weight, value=value or bonus_value())


def written_out(bonus: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Advantages [T, N] of the bonus of the first rollout, in float64: every later step of the environment counts, and
    a step leads to the next observation that its environment returns, at an episode's end the first of the next."""
    value = bonus_value()
    value.unit.merge(torch.as_tensor(bonus).flatten())
    unit = float(value.unit.std)
    values = unit * value.values(torch.as_tensor(table[: STEPS + 1]).flatten(0, 1)).double().view(-1, ENVS).numpy()
    found = np.zeros((STEPS, ENVS))
    for start, env in np.ndindex(STEPS, ENVS):
        for step in range(start, STEPS):
            error = bonus[step, env] + CONFIG.gamma * values[step + 1, env] - values[step, env]
            found[start, env] += (CONFIG.gamma * LAMBDA) ** (step - start) * error
    return found


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_advantages_of_the_bonus_are_not_cut_at_the_ends_of_episodes(algorithm: type) -> None:
    alone = roll(make_model(algorithm), adds=True)
    seen = roll(make_model(algorithm), apart(weight=0.5), adds=True)
    table = make_model().get_env().table
    expected = written_out(0.5 * table[:STEPS].sum(-1), table)
    np.testing.assert_allclose(seen.advantages - alone.advantages, expected, rtol=1e-4, atol=1e-4)
    ends = [written_out(0.5 * table[:STEPS].sum(-1), table)[place] for place in ENDS]
    assert np.abs(ends).min() > 0.01


def test_the_critic_learns_the_returns_of_the_task_alone() -> None:
    alone, seen = roll(make_model(), adds=True), roll(make_model(), apart(), adds=True)
    for name in ("rewards", "values", "returns"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(alone, name), name)
    limits = np.where(flags(TIME_LIMIT), GAMMA * seen.next_values, 0)
    np.testing.assert_allclose(seen.rewards, TASK_REWARD + limits, rtol=1e-5)


def callbacks(*weighted: WeightedReward) -> list[Relabel]:
    return [Relabel({f"source{number}": each}, adds=True) for number, each in enumerate(weighted)]


@pytest.mark.parametrize("places", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_several_callbacks_add_up_in_every_order(places: tuple[int, ...]) -> None:
    def sources() -> list[WeightedReward]:
        return [apart(), apart(weight=0.5), WeightedReward(Source(lambda batch: torch.ones(len(batch))), 7.0)]

    snapshots = []
    for order in ((0, 1, 2), places):
        made, snapshot = sources(), Snapshot()
        make_model().learn(STEPS * ENVS, CallbackList([*callbacks(*(made[place] for place in order)), snapshot]))
        snapshots.append(snapshot)
    for name in ("rewards", "advantages", "returns"):
        found, expected = (getattr(each, name) for each in (snapshots[1], snapshots[0]))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=name)
    episodic = Snapshot()
    make_model().learn(STEPS * ENVS, CallbackList([*callbacks(sources()[2]), episodic]))
    table = make_model().get_env().table
    both = sum(written_out(weight * table[:STEPS].sum(-1), table) for weight in (1.0, 0.5))
    np.testing.assert_allclose(snapshots[0].advantages - episodic.advantages, both, rtol=1e-4, atol=1e-4)


def test_a_second_rollout_has_its_own_advantages_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    given, added = [], []
    advantages = BonusValue.advantages

    def noted(*arguments: Any) -> Any:
        found = advantages(*arguments)
        given.append(found[0])
        return found

    class Added(Snapshot):
        def _on_rollout_end(self) -> None:
            buffer = self.model.rollout_buffer
            added.append(buffer.advantages - (buffer.returns - buffer.values))

    monkeypatch.setattr(BonusValue, "advantages", noted)
    make_model().learn(2 * STEPS * ENVS, CallbackList([*callbacks(apart()), Added()]))
    assert len(given) == 2
    np.testing.assert_allclose(added, torch.stack(given), rtol=1e-4, atol=1e-4)


def test_a_scale_divides_reward_and_bonus_by_the_same_number() -> None:
    scale, by_hand = ReturnNormalizer(GAMMA, ENVS), ReturnNormalizer(GAMMA, ENVS)
    table = make_model().get_env().table
    bonus = 50 * table[:STEPS].sum(-1)
    by_hand.update(TASK_REWARD + bonus, np.array([[True] * ENVS, *(flags(*ENDS.values())[:-1])], np.float32))
    unit = float(by_hand.return_std.std)
    snapshot = Snapshot()
    sources = {"bonus": apart(weight=50.0)}
    make_model().learn(STEPS * ENVS, CallbackList([Relabel(sources, scale, adds=True), snapshot]))
    assert float(scale.return_std.std) == pytest.approx(unit, rel=1e-6)
    assert unit > 10
    limits = np.where(flags(TIME_LIMIT), GAMMA * snapshot.next_values, 0)
    np.testing.assert_allclose(snapshot.rewards, TASK_REWARD / unit + limits, rtol=1e-4)
    added = snapshot.advantages - (snapshot.returns - snapshot.values)
    np.testing.assert_allclose(added, written_out(bonus, table) / unit, rtol=1e-3, atol=1e-3)


def test_what_the_policy_learns_from_is_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """FastPPO's minibatches and SB3's have the advantages of both."""
    learned: list[torch.Tensor] = []
    minibatches = FastPPO._minibatches

    def noted(model: FastPPO) -> Any:
        for batch in minibatches(model):
            learned.append(batch.advantages)
            yield batch

    monkeypatch.setattr(FastPPO, "_minibatches", noted)
    env = make_model().get_env()
    model = FastPPO("MlpPolicy", env, n_steps=STEPS, batch_size=STEPS * ENVS, n_epochs=1, normalize_advantage=False)
    snapshot = Snapshot()
    model.learn(STEPS * ENVS, CallbackList([*callbacks(apart()), snapshot]))
    np.testing.assert_allclose(np.sort(learned[0].numpy()), np.sort(snapshot.advantages.ravel()), rtol=1e-6)
    assert np.abs(snapshot.advantages - (snapshot.returns - snapshot.values)).max() > 0.1


def test_a_rollout_on_a_device_is_refused() -> None:
    settings = {"n_steps": 10, "batch_size": 40, "n_epochs": 1, "device": "cpu"}
    model = DevicePPO("MlpPolicy", aiming(), **settings)
    value = BonusValue(2, model.n_envs, CONFIG, "cpu")

    def constant(batch: Transitions) -> torch.Tensor:
        return torch.ones(len(batch))

    with pytest.raises(InputError, match=r"non-episodic returns; got a DevicePPO; use PPO.*other than warp"):
        model.learn(80, Relabel({"bonus": WeightedReward(Source(constant), value=value)}, adds=True))


def test_falls_are_warned_of_and_time_limits_are_not(caplog: pytest.LogCaptureFixture) -> None:
    for ends, warned in ((ENDS, True), ({place: how for place, how in ENDS.items() if how == TIME_LIMIT}, False)):
        caplog.clear()
        model = make_model()
        model.get_env().ends = ends
        model.learn(STEPS * ENVS, CallbackList(callbacks(apart())))
        assert ("may learn to fall" in caplog.text) is warned
