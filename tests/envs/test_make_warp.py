"""The warp backend behind `make_vec` and `make_device`."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from rlgen.envs import WarpOptions, make_device, make_vec
from rlgen.errors import InputError

pytest.importorskip("warp")

ID = "HalfCheetah-v5"
CPU = WarpOptions(device="cpu")


def test_options_of_the_constructor_mean_the_same_on_warp() -> None:
    kwargs = {"exclude_current_positions_from_observation": False, "ctrl_cost_weight": 5.0}
    warp = make_vec(ID, 2, seed=2, backend="warp", warp=CPU, env_kwargs=kwargs)
    threads = make_vec(ID, 2, seed=2, backend="threads", env_kwargs=kwargs)
    assert warp.observation_space == threads.observation_space
    assert warp.reset().shape == threads.reset().shape == (2, 18)
    paid = [env.step(np.ones((2, 6), np.float32))[1] for env in (warp, threads)]
    np.testing.assert_allclose(*paid, atol=1e-2)
    assert (paid[0] < -25).all(), "6 actions of 1 cost 30"


def test_an_sb3_environment_on_warp_steps_as_that_on_threads():
    kwargs = {"env_kwargs": {"max_episode_steps": 5}, "margin_rule": "legacy"}
    warp = make_vec(ID, 3, seed=2, backend="warp", warp=CPU, **kwargs)
    threads = make_vec(ID, 3, seed=2, backend="threads", **kwargs)
    assert (warp.backend, warp.margin_rule) == ("warp", "legacy")
    assert warp.observation_space == threads.observation_space
    assert warp.action_space == threads.action_space
    np.testing.assert_allclose(warp.reset(), threads.reset(), atol=1e-6)
    rng = np.random.default_rng(0)
    for step in range(1, 11):
        actions = rng.uniform(-1, 1, (3, 6)).astype(np.float32)
        found, expected = warp.step(actions), threads.step(actions)
        np.testing.assert_allclose(found[0], expected[0], atol=2e-2)
        np.testing.assert_allclose(found[1], expected[1], atol=1e-2)
        np.testing.assert_array_equal(found[2], expected[2])
        assert found[0].dtype == found[1].dtype == np.float32
        for info, other in zip(found[3], expected[3], strict=True):
            assert set(info) == set(other)
            assert bool(info) == (step % 5 == 0)
            if info:
                np.testing.assert_allclose(info["terminal_observation"], other["terminal_observation"], atol=2e-2)
                assert info["TimeLimit.truncated"] is other["TimeLimit.truncated"] is True
                assert info["episode"]["l"] == 5
                assert info["episode"]["r"] == pytest.approx(other["episode"]["r"], abs=1e-2)


def test_what_a_step_returned_is_not_written_over_by_the_next():
    env = make_vec(ID, 2, backend="warp", warp=CPU)
    env.reset()
    first = env.step(np.ones((2, 6), np.float32))[0]
    kept = first.copy()
    env.step(-np.ones((2, 6), np.float32))
    np.testing.assert_array_equal(first, kept)


def test_a_resumed_environment_goes_on_bit_for_bit():
    env, other = (make_vec(ID, 2, seed=seed, backend="warp", warp=CPU) for seed in (0, 9))
    actions = np.random.default_rng(0).uniform(-1, 1, (6, 2, 6)).astype(np.float32)
    env.reset()
    other.reset()
    for action in actions[:3]:
        env.step(action)
    other.load_state_dict(env.state_dict())
    np.testing.assert_array_equal(env.current_observations(), other.current_observations())
    for action in actions[3:]:
        np.testing.assert_array_equal(env.step(action)[0], other.step(action)[0])


def test_stable_baselines3_learns_on_it():
    env = make_vec(ID, 4, backend="warp", warp=CPU)
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=32, n_epochs=1, device="cpu")
    model.learn(128)
    assert model.num_timesteps == 128


def test_tensors_in_and_out():
    env = make_device(ID, 3, "cpu", {"max_episode_steps": 5})
    assert env.reset(range(3)).shape == (3, 17)
    step = env.step(torch.zeros(3, 6))
    assert step.observations.dtype == step.rewards.dtype == torch.float32
    assert step.rewards.shape == step.terminated.shape == (3,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"env_id": "Pusher-v5"}, "no task definition"),
        ({"env_id": "rlgen/SparseMountainCar-v0"}, "not MuJoCo's"),
        ({"env_kwargs": {"no_such": 1}}, "has no no_such"),
        ({"n_envs": 0}, "at least one environment"),
        ({"warp": WarpOptions(device="tpu")}, "auto, cpu, cuda"),
        ({"margin_rule": "old"}, "margin_rule native or legacy"),
    ],
)
def test_what_warp_cannot_do_is_told_at_once(arguments, message):
    with pytest.raises(InputError, match=message):
        make_vec(**{"env_id": ID, "n_envs": 1, "backend": "warp", "warp": CPU, **arguments})


def test_room_for_nothing_is_refused():
    with pytest.raises(InputError, match="contacts of at least 1"):
        WarpOptions(contacts=0)


def test_the_options_are_keywords_of_make_vec_for_one_version():
    with pytest.warns(DeprecationWarning, match=r"warp=WarpOptions\(device='cpu', contacts=20\)"):
        env = make_vec(ID, 1, backend="warp", device="cpu", contacts=20)
    assert env.sim.env.physics.contacts == 20
    with pytest.raises(TypeError, match="unexpected keyword argument 'devices'"):
        make_vec(ID, 1, devices="cpu")
    with pytest.raises(TypeError, match="unexpected keyword argument 'device'"):
        make_vec(ID, 1, backend="warp", warp=CPU, device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU that is not there")
def test_without_a_driver_cuda_is_told_at_once():
    with pytest.raises(InputError, match="CUDA"):
        make_device(ID, 1, "cuda")


def test_memory_that_is_short_is_told_with_what_to_lower(monkeypatch):
    def short(*args, **kwargs):
        raise RuntimeError("Failed to allocate 12345 bytes of memory on device 'cuda:0'")

    monkeypatch.setattr("rlgen.envs.make.DeviceEnv", short)
    with pytest.raises(InputError, match=r"memory for 1000000 environments.*fewer environments"):
        make_device(ID, 1_000_000, "cpu")
