"""`make_vec(..., infos=True)`: every step reports what Gymnasium's environment reports."""

import numpy as np
import pytest

from rlgen.envs import CLASSIC_TASKS, TASKS, make_vec
from rlgen.errors import InputError
from rlgen.sim.model import own_rule


@pytest.mark.parametrize("env_id", [*TASKS, *CLASSIC_TASKS])
def test_every_step_has_gymnasiums_infos(env_id):
    settings = {"seed": 3, "env_kwargs": {"max_episode_steps": 12}}
    rule = own_rule() if env_id in TASKS else "native"
    own = make_vec(env_id, 2, infos=True, margin_rule=rule, **settings)
    reference = make_vec(env_id, 2, backend="gymnasium", margin_rule=rule, **settings)
    own.reset()
    reference.reset()
    rng, space = np.random.default_rng(0), own.action_space
    for _ in range(15):
        actions = rng.uniform(space.low, space.high, (2, *space.shape)).astype(np.float32)
        for mine, theirs in zip(own.step(actions)[3], reference.step(actions)[3], strict=True):
            assert set(mine) == set(theirs)
            assert mine.pop("episode", {}).get("l") == theirs.pop("episode", {}).get("l")
            for name, value in theirs.items():
                np.testing.assert_allclose(mine[name], value, rtol=1e-6, atol=1e-6, err_msg=name)
    own.close()
    reference.close()


def test_the_terms_of_the_reward_add_up_to_it():
    env = make_vec("Ant-v5", 2, infos=True)
    env.reset()
    _, rewards, _, infos = env.step(np.ones((2, 8), np.float32))
    for reward, info in zip(rewards, infos, strict=True):
        assert sum(value for name, value in info.items() if name.startswith("reward_")) == pytest.approx(reward, 1e-5)
    env.close()


def test_without_them_steps_report_ends_of_episodes_alone():
    env = make_vec("Hopper-v5", 2)
    env.reset()
    assert env.step(np.zeros((2, 3), np.float32))[3] == [{}, {}]
    env.close()


def test_warp_has_none_and_says_so():
    with pytest.raises(InputError, match=r"infos.*got infos=True; use backend"):
        make_vec("Ant-v5", 1, backend="warp", infos=True)
