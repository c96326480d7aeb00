"""AMP as settings of GAIL: a view of the observations, the task's reward in addition, and states without actions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC

from rlgen.agents import GAIL, BCConfig, GAILConfig, cli
from rlgen.agents.gail import OFF_POLICY
from rlgen.data import Demonstrations
from rlgen.errors import InputError
from rlgen.rewards import Adversarial, AdversarialConfig
from rlgen.rewards.observation_rows import selected

from .test_gail_off_policy import Draw, model_of, returned, score

SMALL = AdversarialConfig(
    hidden=(16,), batch_size=64, updates_per_rollout=4, divergence="amp", inputs="state_transition"
)
STYLE = GAILConfig(discriminator=SMALL, warm_start=False, average=0.0)


def test_the_discriminator_sees_the_selected_dimensions_alone(point_env, point_demonstrations) -> None:
    rows = point_demonstrations.transitions()
    config = replace(SMALL, observed=("1",))
    source = Adversarial(rows, point_env(1), config)
    assert source.size == 2
    other = replace(rows, observations=rows.observations + torch.tensor([5.0, 0.0]))
    assert torch.equal(source.reward(other), source.reward(rows))
    assert not torch.equal(source.reward(replace(rows, observations=rows.observations + 1)), source.reward(rows))
    every = Adversarial(rows, point_env(1), SMALL)
    torch.testing.assert_close(source.inputs(rows), every.inputs(rows)[:, [1, 3]])


def test_dimensions_are_numbers_and_ranges() -> None:
    assert selected(("3", "0-2", "2-4", "8"), 9) == [0, 1, 2, 3, 4, 8]
    for wrong in ("-1", "a", "3-", "1-b", ""):
        with pytest.raises(InputError, match="3 or 0-10"):
            selected((wrong,), 9)
    for wrong in ("9", "0-9", "4-2"):
        with pytest.raises(InputError, match="from 0 to 8"):
            selected((wrong,), 9)


def test_the_tasks_reward_is_added_with_its_weight(point_ppo, point_demonstrations, spy) -> None:
    rewards: list[np.ndarray] = []
    for weight in (0.0, 2.0):
        model = point_ppo(seed=3, gae_lambda=1.0)
        config = replace(STYLE, task_weight=weight, scale_reward=False)
        GAIL(model, point_demonstrations, config).learn(64, spy)
        rewards.append(model.rollout_buffer.relabeled.copy())
        task = np.stack([1 - np.linalg.norm(each, axis=1) for each in model.get_env().traffic.following])
    np.testing.assert_allclose(rewards[1] - rewards[0], 2 * task, atol=1e-4)


class DrawBoth(Draw):
    """Also what the discriminator alone gives to the drawn rows."""

    def __init__(self, gail: GAIL):
        super().__init__()
        self.gail = gail

    def _on_rollout_end(self) -> None:
        super()._on_rollout_end()
        self.style = self.gail.source.reward(self.rows)


def test_off_policy_too(point_env, point_demonstrations) -> None:
    model = model_of(SAC, point_env(), seed=7)
    gail = GAIL(model, point_demonstrations, replace(OFF_POLICY, task_weight=0.5, warm_start=False))
    draw = DrawBoth(gail)
    gail.learn(80, draw)
    task = 1 - draw.rows.next_observations.norm(dim=1)
    absorbed = draw.entropy * draw.rows.terminated
    torch.testing.assert_close(draw.rewards, draw.style + 0.5 * task + absorbed, atol=1e-4, rtol=1e-4)


def test_it_imitates_states_alone_with_a_task(point_ppo, point_env, point_demonstrations) -> None:
    model = point_ppo(n_envs=8, learning_rate=3e-3, n_epochs=8)
    untrained = returned(model, point_env(seed=5))
    GAIL(model, point_demonstrations, replace(STYLE, task_weight=0.2)).learn(3000)
    assert score(model, point_env(seed=5), point_demonstrations, untrained) > 0.75


def test_the_tasks_reward_and_demonstrated_rows_exclude_each_other() -> None:
    with pytest.raises(InputError, match="leave one of the two out"):
        replace(OFF_POLICY, task_weight=1.0, expert_share=0.5)


def states_only(shown: Demonstrations, path: Path, format: str) -> Path:
    """A file without actions, in one of three layouts of .npz."""
    if format == "rlgen":
        shown.save(path)
        with np.load(path) as whole:
            arrays = {name: whole[name] for name in whole if name != "actions"}
    elif format == "pairs":
        arrays = {"obs": shown.observations, "next_obs": shown.next_observations, "terminated": shown.terminated}
        arrays |= {"traj": shown.episode, "t": shown.step, "lengths": shown.episode_lengths, "stride": np.array(1)}
    else:
        episodes = shown.episodes()
        arrays = {"obs": np.concatenate([each.observations for each in episodes]), "lengths": shown.episode_lengths}
        arrays["terminated"] = np.array([each.terminated for each in episodes])
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("format", ["rlgen", "pairs", "episodes"])
def test_a_file_without_actions_is_imitated_by_its_states(
    format: str, point_demonstrations, point_ppo, tmp_path: Path
) -> None:
    path = states_only(point_demonstrations, tmp_path / "states.npz", format)
    states = Demonstrations.load(path)
    np.testing.assert_array_equal(states.observations, point_demonstrations.observations)
    assert np.isnan(states.actions).all()
    states.save(tmp_path / "again.npz")
    assert Demonstrations.load(tmp_path / "again.npz").fingerprint == states.fingerprint
    one, two = (GAIL(point_ppo(seed=3), shown, STYLE).learn(64).model for shown in (states, point_demonstrations))
    for mine, other in zip(one.policy.parameters(), two.policy.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_what_needs_actions_says_so(point_demonstrations, point_ppo, tmp_path: Path, capsys) -> None:
    states = Demonstrations.load(states_only(point_demonstrations, tmp_path / "states.npz", "episodes"))
    with pytest.raises(InputError, match="expected demonstrated actions; got none in"):
        GAIL(point_ppo(), states)
    with pytest.raises(InputError, match="no-warm-start"):
        GAIL(point_ppo(), states, replace(STYLE, warm_start=True, bc=BCConfig(max_updates=100)))
    assert cli.main(["demos", "inspect", str(tmp_path / "states.npz")]) == 0
    assert "actions" in capsys.readouterr().out


def test_a_run_with_a_view_and_a_task_resumes(tmp_path: Path, point_demonstrations, rlgen_train, no_finish) -> None:
    states = states_only(point_demonstrations, tmp_path / "states.npz", "episodes")
    options = "--gail.discriminator.divergence amp --gail.discriminator.inputs state_transition --gail.no-warm-start "
    options += "--gail.discriminator.observed 0 1-1 --gail.task-weight 0.5 --steps 128"
    assert rlgen_train("gail", *options.split(), demos=states) == 0
    assert cli.main(["resume", str(tmp_path / "run"), "--steps", "192"]) == 0
    assert no_finish[-1][2].num_timesteps == 192
