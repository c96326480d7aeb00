"""GAIL on the point world: it must find the expert, whatever it is made of."""

import copy
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger

from rlgen.agents import GAIL, BCConfig, GAILConfig, InfoGAILConfig, LearnerConfig
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations, Episode
from rlgen.equations.divergences import DIVERGENCES
from rlgen.errors import InputError
from rlgen.nn import PenaltyConfig
from rlgen.rewards import AdversarialConfig
from rlgen.runs.evaluation import RandomPolicy, evaluate
from rlgen.runs.scores import normalised_return
from rlgen.system.rng import rng_state, set_rng_state

TINY = AdversarialConfig(hidden=(8,), updates_per_rollout=2, batch_size=32)
CONFIG = GAILConfig(discriminator=TINY, warm_start=False)
ROUND = 64  # 4 environments, 16 steps


def policy_weights(gail: GAIL) -> torch.Tensor:
    """All weights of the policy, in a row."""
    return torch.cat([part.detach().flatten() for part in gail.model.policy.parameters()]).clone()


def weights(gail: GAIL) -> torch.Tensor:
    """All weights of policy and discriminator, in a row."""
    parts = [part.detach().flatten() for part in gail.source.network.parameters()]
    return torch.cat([policy_weights(gail), *parts])


@pytest.fixture
def score(point_env):
    """Return of a policy, 0 for random actions and 1 for the expert."""

    def measure(policy) -> float:
        from_expert = type("P", (), {"predict": lambda self, o, deterministic: (np.clip(-o, -0.4, 0.4), None)})()
        env = point_env(20, seed=100)
        reached = [
            evaluate(each, env, 40, seed=100, label=None).returns.mean()
            for each in (policy, RandomPolicy(env.action_space), from_expert)
        ]
        return normalised_return(*map(float, reached))

    return measure


# In this world a fall saves a policy from what is still to come, so that rewards of either sign count from the lowest.
VARIANTS: dict[str, dict] = {
    "GAIL": {},
    "from observations": {"discriminator": {"inputs": "state_transition"}},
    "f-GAIL, forward KL": {"discriminator": {"divergence": "f_kl"}},
    "f-GAIL, reverse KL": {"discriminator": {"divergence": "f_reverse_kl", "zero": "lowest"}},
    "WGAIL-GP": {
        "discriminator": {"divergence": "wasserstein", "zero": "lowest"},
        "penalties": PenaltyConfig(gradient=10.0),
    },
    "VAIL": {"penalties": PenaltyConfig(gradient=1.0, bottleneck=0.5)},
    "FQ-GAIL": {"penalties": PenaltyConfig(gradient=1.0, quantize=64)},
    "PIRO": {"penalties": PenaltyConfig(gradient=1.0, proximal=0.1)},
    "DiffAIL": {"discriminator": {"network": "diffusion"}},
    "DRAIL": {"discriminator": {"network": "conditional_diffusion"}},
    "CFIL": {"discriminator": {"network": "coupled_flows"}},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_cloning_every_variant_comes_near_the_expert(
    variant: str, point_env, point_demonstrations, score
) -> None:
    changes = dict(VARIANTS[variant])
    learner = LearnerConfig(
        n_steps=64,
        batch_size=128,
        n_epochs=5,
        learning_rate=1e-3,
        gamma=0.9,
        hidden=(32, 32),
        initial_std=0.34,
        schedule="constant",
    )
    model = make_model(learner, point_env(8), seed=0)
    settings = {"hidden": (32,), "learning_rate": 1e-2, "updates_per_rollout": 8, "batch_size": 256}
    discriminator = AdversarialConfig(**settings, **changes.pop("discriminator", {}))
    before = score(model)
    torch.manual_seed(0)
    GAIL(model, point_demonstrations, replace(CONFIG, discriminator=discriminator, **changes)).learn(20_000)
    assert before < 0.5
    assert score(model) > 0.9


def test_the_warm_start_alone_is_near_the_expert_already(point_ppo, point_demonstrations, score) -> None:
    model = point_ppo(policy_kwargs={"net_arch": [32]})
    config = replace(
        CONFIG, warm_start=True, bc=BCConfig(max_updates=600, check_every=50, learning_rate=3e-3, average=0.9)
    )
    GAIL(model, point_demonstrations, config).warm_up()
    assert score(model) > 0.9


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "trpo"])
def test_gail_trains_any_on_policy_model(algorithm: str, point_env, point_demonstrations) -> None:
    if algorithm == "trpo":
        pytest.importorskip("sb3_contrib")
    learner = LearnerConfig(algorithm=algorithm, n_steps=16, batch_size=32, hidden=(8,))
    gail = GAIL(make_model(learner, point_env(), seed=0), point_demonstrations, CONFIG)
    before = policy_weights(gail)
    gail.learn(3 * ROUND)
    assert gail.model.num_timesteps == 3 * ROUND
    assert torch.isfinite(weights(gail)).all()
    assert not torch.equal(policy_weights(gail), before)


def test_a_plain_sb3_policy_needs_no_normalizer(point_ppo, point_demonstrations) -> None:
    gail = GAIL(point_ppo(policy_kwargs={"net_arch": [8]}), point_demonstrations, CONFIG)
    before = policy_weights(gail)
    assert not torch.equal(policy_weights(gail.learn(ROUND)), before)


GRADIENT = PenaltyConfig(gradient=1.0)
PENALTIES: list[dict] = [
    {"gradient_center": 0.0},
    {"r1": 1.0, "gradient": 0.0},
    {"entropy": 1e-3},
    {"spectral_norm": True},
    {"bottleneck": 0.5},
    {"quantize": 8},
    {"historical_average": 0.1},
]


@pytest.mark.parametrize(
    ("divergence", "penalty"),
    [
        *((divergence, {}) for divergence in DIVERGENCES),
        *((divergence, penalty) for divergence in ("minimax", "f_kl") for penalty in PENALTIES),
        ("wasserstein", {"gradient": 10.0, "quantize": 8, "bottleneck": 0.5}),
    ],
    ids=str,
)
def test_every_divergence_and_every_penalty_runs(
    divergence: str, penalty: dict, point_ppo, point_demonstrations
) -> None:
    config = replace(CONFIG, discriminator=replace(TINY, divergence=divergence), penalties=replace(GRADIENT, **penalty))
    gail = GAIL(point_ppo(), point_demonstrations, config).learn(2 * ROUND)
    assert torch.isfinite(weights(gail)).all()


def test_a_penalty_of_ones_own_joins_the_discriminators_loss(point_ppo, point_demonstrations) -> None:
    class Counted:
        calls = 0

        def wrap(self, network):
            return network

        def loss(self, critic, real, fake, real_logit, fake_logit):
            self.calls += 1
            return 0 * real_logit.sum() + 7.0

    mine = Counted()
    gail = GAIL(point_ppo(), point_demonstrations, replace(CONFIG, penalties=PenaltyConfig()), penalties=[mine])
    gail.learn(ROUND, log_interval=100)
    assert mine.calls == TINY.updates_per_rollout
    assert gail.model.logger.name_to_value["gail/penalty"] == 7.0


def test_penalties_under_their_names_of_before_work_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"gradient_penalty is now penalties\.gradient"):
        old = GAILConfig(gradient_penalty=10.0)  # type: ignore[call-arg]
    assert old == GAILConfig(penalties=PenaltyConfig(gradient=10.0))
    with pytest.warns(DeprecationWarning, match=r"bottleneck is now"):
        info = InfoGAILConfig(bottleneck=0.5)  # type: ignore[call-arg]
    assert info.penalties == PenaltyConfig(gradient=1.0, bottleneck=0.5)


def test_penalties_that_change_the_layers_come_before_those_that_divide_or_wrap_them(point_ppo, point_demonstrations):
    penalties = PenaltyConfig(
        quantize=8, bottleneck=0.25, bottleneck_step=0.5, spectral_norm=True, historical_average=2.0
    )
    gail = GAIL(point_ppo(), point_demonstrations, replace(CONFIG, penalties=penalties))
    named = [type(part).__name__ for part in gail.source.network.network]
    assert named == ["ParametrizedLinear", "Tanh", "VectorQuantizer", "GaussianBottleneck", "ParametrizedLinear"]
    assert any("head.parametrizations" in name for name in gail.source.network.state_dict())


def test_a_bottleneck_and_a_codebook_are_logged(point_ppo, point_demonstrations) -> None:
    model = point_ppo()
    GAIL(model, point_demonstrations, replace(CONFIG, penalties=PenaltyConfig(bottleneck=0.5, quantize=8))).learn(
        ROUND, log_interval=100
    )
    assert {"gail/bottleneck_kl", "gail/codebook_usage"} <= set(model.logger.name_to_value)


WASSERSTEIN = AdversarialConfig(divergence="wasserstein")
WRONG: list[dict] = [
    {"average": 1.0},
    {"discriminator": WASSERSTEIN, "penalties": PenaltyConfig()},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        GAILConfig(**wrong)


def test_a_saved_policy_opens_in_plain_sb3_and_acts_alike(point_ppo, point_demonstrations, tmp_path: Path) -> None:
    model = point_ppo()
    GAIL(model, point_demonstrations, CONFIG).learn(2 * ROUND)
    model.save(tmp_path / "policy.zip")
    observations = point_demonstrations.observations
    loaded = PPO.load(tmp_path / "policy.zip", device="cpu").predict(observations, deterministic=True)[0]
    np.testing.assert_array_equal(loaded, model.predict(observations, deterministic=True)[0])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(point_ppo, point_demonstrations) -> None:
    config = replace(CONFIG, warm_start=True, bc=BCConfig(max_updates=100))
    runs = [GAIL(point_ppo(seed=seed), point_demonstrations, config).learn(2 * ROUND) for seed in (0, 0, 1)]
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(policy_weights(runs[0]), policy_weights(runs[2]))


def test_a_second_call_trains_as_many_steps_more(point_ppo, point_demonstrations) -> None:
    gail = GAIL(point_ppo(), point_demonstrations, CONFIG)
    assert gail.learn(2 * ROUND).model.num_timesteps == 2 * ROUND
    assert gail.learn(ROUND).model.num_timesteps == 3 * ROUND


def test_steps_before_gail_do_not_count_and_do_not_save_the_warm_start(
    point_ppo, point_demonstrations, monkeypatch
) -> None:
    calls = []
    monkeypatch.setattr("rlgen.agents.imitator.BC.learn", lambda bc, report: calls.append(bc))
    model = point_ppo()
    model.learn(3 * ROUND)
    config = replace(CONFIG, warm_start=True)
    gail = GAIL(model, point_demonstrations, config).learn(2 * ROUND)
    assert model.num_timesteps == 5 * ROUND
    assert len(calls) == 1
    loaded = GAIL(point_ppo(), point_demonstrations, config)
    loaded.load_state_dict(copy.deepcopy(gail.state_dict()))
    loaded.model.get_env().reset()
    assert loaded.learn(ROUND).model.num_timesteps == 6 * ROUND


def test_two_sittings_are_one_long_one(point_ppo, point_demonstrations) -> None:
    config = replace(CONFIG, average=0.5)
    whole, parts = (GAIL(point_ppo(), point_demonstrations, config) for _ in range(2))
    start = rng_state()
    whole.learn(4 * ROUND)
    set_rng_state(start)
    parts.learn(2 * ROUND).learn(2 * ROUND)
    for name, value in whole.average.weights.items():
        torch.testing.assert_close(parts.average.weights[name], value)


def test_the_warm_start_happens_once(point_ppo, point_demonstrations, monkeypatch) -> None:
    calls = []
    monkeypatch.setattr("rlgen.agents.imitator.BC.learn", lambda bc, report: calls.append(bc))
    gail = GAIL(point_ppo(), point_demonstrations, replace(CONFIG, warm_start=True))
    gail.learn(ROUND)
    gail.learn(ROUND)
    assert len(calls) == 1


def test_each_training_has_a_tensorboard_folder_of_its_own_and_goes_on_in_it(
    point_ppo, point_demonstrations, tmp_path: Path
) -> None:
    expert = point_ppo(tensorboard_log=str(tmp_path))
    expert.learn(ROUND)
    trainings = [GAIL(point_ppo(tensorboard_log=str(tmp_path)), point_demonstrations, CONFIG) for _ in range(2)]
    for gail in (*trainings, *trainings):
        gail.learn(ROUND)
    folders = {path.parent.name: path for path in tmp_path.rglob("events.out.*")}
    assert sorted(folders) == ["GAIL_1", "GAIL_2", "PPO_1"]
    expert.learn(ROUND)
    assert {path.parent.name for path in tmp_path.rglob("events.out.*")} == {*folders, "PPO_2"}


def test_a_logger_of_the_users_is_kept(point_ppo, point_demonstrations) -> None:
    model = point_ppo()
    own = Logger(folder=None, output_formats=[])
    model.set_logger(own)
    GAIL(model, point_demonstrations, CONFIG).learn(ROUND)
    assert model.logger is own


@pytest.mark.parametrize(
    ("settings", "ended", "warned"),
    [
        ({}, 1.0, "rewards every further step"),
        ({}, 0.1, None),
        ({"absorbing": "on"}, 1.0, None),
        ({"divergence": "non_saturating"}, 1.0, None),
        ({"divergence": "non_saturating"}, 0.0, "penalizes every further step"),
        ({"divergence": "non_saturating", "zero": "lowest"}, 1.0, "zero=lowest"),
        ({"divergence": "reverse_kl"}, 1.0, None),
    ],
)
def test_a_reward_whose_sign_contradicts_the_demonstrated_ends_is_warned_of(
    point_ppo, point_demonstrations, caplog, settings: dict, ended: float, warned: str | None
) -> None:
    last = np.flatnonzero(np.diff(point_demonstrations.episode, append=-1))
    terminated = np.zeros(len(point_demonstrations), bool)
    terminated[last[: round(ended * len(last))]] = True
    demonstrations = replace(point_demonstrations, terminated=terminated, truncated=np.zeros_like(terminated))
    chosen = AdversarialConfig(**{"absorbing": "off"} | settings)
    GAIL(point_ppo(), demonstrations, replace(CONFIG, discriminator=chosen))
    found = [record.getMessage() for record in caplog.records if "further step" in record.getMessage()]
    assert len(found) == (warned is not None)
    assert warned is None or warned in found[0]


def test_a_state_saved_before_the_first_round_holds_the_warm_start(
    point_ppo, point_demonstrations, monkeypatch
) -> None:
    config = replace(CONFIG, warm_start=True, bc=BCConfig(max_updates=100))
    first, second = (GAIL(point_ppo(seed=seed), point_demonstrations, config) for seed in (0, 1))
    first.warm_up()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    monkeypatch.setattr("rlgen.agents.imitator.BC.learn", lambda bc, report: pytest.fail("cloned again"))
    assert torch.equal(weights(second), weights(first))
    second.learn(ROUND)


def test_callbacks_may_be_functions_objects_or_lists(point_ppo, point_demonstrations, spy) -> None:
    steps = []

    def function(local_variables: dict, global_variables: dict) -> bool:
        steps.append(1)
        return True

    GAIL(point_ppo(), point_demonstrations, CONFIG).learn(ROUND, function)
    assert len(steps) == 16
    GAIL(point_ppo(), point_demonstrations, CONFIG).learn(ROUND, [spy, function])
    assert len(spy.rollouts) == 1
    assert len(steps) == 32


def test_the_log_tells_how_the_discriminator_fares(point_ppo, point_demonstrations) -> None:
    model = point_ppo()
    GAIL(model, point_demonstrations, CONFIG).learn(ROUND, log_interval=100)
    logged = model.logger.name_to_value
    names = {"gail/loss", "gail/penalty", "gail/expert_accuracy", "gail/policy_accuracy", "gail/reward"}
    assert names <= set(logged)
    assert 0 <= logged["gail/expert_accuracy"] <= 1


def test_an_environment_of_float64_observations_works(point_demonstrations) -> None:
    class Wide(gym.ObservationWrapper):
        def __init__(self) -> None:
            super().__init__(gym.make("PointWorld-v0"))
            self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)

        def observation(self, observation: np.ndarray) -> np.ndarray:
            return observation.astype(np.float64)

    model = PPO("MlpPolicy", make_vec_env(Wide, 2), n_steps=16, batch_size=32, device="cpu")
    gail = GAIL(model, point_demonstrations, CONFIG)
    assert torch.isfinite(weights(gail.learn(32))).all()


@pytest.fixture
def unknown_actions(point_demonstrations) -> Demonstrations:
    return replace(point_demonstrations, actions=np.full((len(point_demonstrations), 1), np.nan))


def test_transitions_alone_need_no_actions(unknown_actions, point_demonstrations, point_ppo) -> None:
    config = replace(CONFIG, discriminator=replace(TINY, inputs="state_transition"))
    runs = [GAIL(point_ppo(), each, config).learn(2 * ROUND) for each in (unknown_actions, point_demonstrations)]
    assert torch.isfinite(weights(runs[0])).all()
    assert torch.equal(weights(runs[0]), weights(runs[1])), "known ones are not read either"


def test_a_warm_start_without_actions_is_refused_by_its_name(unknown_actions, point_ppo) -> None:
    config = GAILConfig(discriminator=replace(TINY, inputs="state_transition"))
    with pytest.raises(InputError, match="warm_start=False"):
        GAIL(point_ppo(), unknown_actions, config)
    with pytest.raises(InputError, match="demonstrated actions; got none"):
        GAIL(point_ppo(), unknown_actions, CONFIG)


@pytest.mark.parametrize(("observed", "acted", "key"), [(3, 2, "observations"), (2, 3, "actions")])
def test_demonstrations_of_another_size_are_refused(observed: int, acted: int, key: str, point_ppo) -> None:
    episode = Episode(observations=np.zeros((5, observed)), actions=np.zeros((4, acted)))
    with pytest.raises(InputError, match=f"'{key}'"):
        GAIL(point_ppo(), Demonstrations.from_episodes([episode]))


def test_demonstrated_actions_beyond_the_bounds_are_refused(point_ppo) -> None:
    episode = Episode(observations=np.zeros((5, 2)), actions=np.full((4, 2), 0.5))
    with pytest.raises(InputError, match="action space"):
        GAIL(point_ppo(), Demonstrations.from_episodes([episode]))


def test_a_state_taken_after_learning_holds_the_last_weights(point_ppo, point_demonstrations) -> None:
    gail = GAIL(point_ppo(policy_kwargs={"net_arch": [8]}), point_demonstrations, replace(CONFIG, average=0.5))
    gail.learn(3 * ROUND)
    averaged = policy_weights(gail)
    state = gail.state_dict()
    assert torch.equal(policy_weights(gail), averaged)
    gail.load_state_dict(state)
    assert not torch.equal(policy_weights(gail), averaged)


def test_learning_ends_with_the_averaged_weights(point_ppo, point_demonstrations) -> None:
    gail = GAIL(point_ppo(policy_kwargs={"net_arch": [8]}), point_demonstrations, replace(CONFIG, average=0.5))
    gail.learn(3 * ROUND)
    for name, value in gail.model.policy.named_parameters():
        assert torch.equal(value, gail.average.weights[name])


def test_torch_acts_on_one_thread_learns_on_all_and_has_them_back_after_an_interrupt(
    point_ppo, point_demonstrations
) -> None:
    threads = {"acting": set(), "learning": set()}

    class Look(BaseCallback):
        def _on_step(self) -> bool:
            if self.model.rollout_buffer.pos == 0:
                threads["acting"].add(torch.get_num_threads())
            if self.num_timesteps > 2 * rollout:
                raise KeyboardInterrupt
            return True

        def _on_rollout_end(self) -> None:
            threads["learning"].add(torch.get_num_threads())

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    model = point_ppo()
    rollout = model.n_envs * model.n_steps
    with pytest.raises(KeyboardInterrupt):
        GAIL(model, point_demonstrations, CONFIG).learn(4 * rollout, Look())
    assert (threads, torch.get_num_threads()) == ({"acting": {1}, "learning": {3}}, 3)
    torch.set_num_threads(before)
