"""The learning rate that follows the KL divergence."""

import base64
import json
import pickletools
import zipfile
from pathlib import Path

import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env

from rlgen.errors import InputError
from rlgen.sb3 import normalized_policy
from rlgen.sb3.adaptive_rate import KLAdaptiveLR, KLCallback, frozen_schedule


def test_a_large_step_lowers_the_rate_and_a_small_one_raises_it() -> None:
    rate = KLAdaptiveLR(3e-4, target_kl=0.01)
    rate.observe(0.021, step=1)
    assert rate(0.5) == pytest.approx(2e-4)
    rate.observe(0.004, step=2)
    assert rate(0.4) == pytest.approx(3e-4)


def test_a_step_near_the_target_leaves_the_rate() -> None:
    rate = KLAdaptiveLR(3e-4, target_kl=0.01)
    for step, kl in enumerate((0.006, 0.01, 0.019), start=1):
        rate.observe(kl, step)
    assert rate(1.0) == 3e-4


def test_the_wanted_kl_falls_with_the_progress() -> None:
    rate = KLAdaptiveLR(3e-4, target_kl=0.01)
    rate.observe(0.01, step=1, progress_remaining=1.0)
    assert rate(1.0) == 3e-4
    rate.observe(0.01, step=2, progress_remaining=0.4)
    assert rate(0.4) == pytest.approx(2e-4)


def test_the_rate_stays_within_its_bounds() -> None:
    rate = KLAdaptiveLR(3e-4, target_kl=0.01)
    for step in range(1, 20):
        rate.observe(1.0, step)
    assert rate(1.0) == 1e-5
    for step in range(20, 50):
        rate.observe(0.0, step)
    assert rate(1.0) == 1e-3


def test_a_second_look_at_one_round_changes_nothing() -> None:
    rate, other = KLAdaptiveLR(3e-4, target_kl=0.01), KLAdaptiveLR(3e-4, target_kl=0.01)
    rate.observe(1.0, step=64)
    other.load_state_dict(rate.state_dict())
    other.observe(1.0, step=64)
    assert other(1.0) == rate(1.0)


def test_ppo_learns_with_the_rate_that_its_last_rounds_kl_asks_for() -> None:
    class Rates(BaseCallback):
        def __init__(self) -> None:
            super().__init__()
            self.pairs: list[tuple[float, float]] = []

        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            kl = self.logger.name_to_value.get("train/approx_kl")
            if kl is not None:
                self.pairs.append((float(kl), self.model.policy.optimizer.param_groups[0]["lr"]))

    env, seen = make_vec_env("Pendulum-v1", 2, seed=0), Rates()
    rate = KLAdaptiveLR(1e-4, target_kl=1e-3)
    model = PPO("MlpPolicy", env, rate, n_steps=16, batch_size=32, n_epochs=4, seed=0, device="cpu")
    model.learn(32 * 6, CallbackList([KLCallback(), seen]), log_interval=None)
    env.close()
    expected = 1e-4
    for kl, used in seen.pairs:
        assert used == pytest.approx(expected)
        expected = expected / 1.5 if kl > 2e-3 else min(expected * 1.5, 1e-3) if kl < 5e-4 else expected
    assert len(seen.pairs) == 5
    assert len({used for _, used in seen.pairs}) > 1


def pickled_modules(path: Path) -> set[str]:
    """Modules that opening a saved model imports from."""
    names: set[str] = set()
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data"))
    for entry in data.values():
        if isinstance(entry, dict) and ":serialized:" in entry:
            content = base64.b64decode(entry[":serialized:"])
            names |= {str(value) for _, value, _ in pickletools.genops(content) if isinstance(value, str)}
    return {name for name in names if name.startswith("rlgen")}


def test_a_model_saved_with_a_plain_rate_needs_no_module_but_the_features(tmp_path: Path) -> None:
    env, rate = make_vec_env("Pendulum-v1", 1), KLAdaptiveLR(2e-4, target_kl=0.01)
    model = PPO("MlpPolicy", env, rate, policy_kwargs=normalized_policy([4]), device="cpu")
    model.save(tmp_path / "adaptive.zip")
    schedule = model.lr_schedule
    with frozen_schedule(model):
        model.save(tmp_path / "plain.zip")
    assert "rlgen.sb3.adaptive_rate" in pickled_modules(tmp_path / "adaptive.zip")
    assert pickled_modules(tmp_path / "plain.zip") == {"rlgen.sb3.features"}
    assert PPO.load(tmp_path / "plain.zip", device="cpu").lr_schedule(0.5) == 2e-4
    assert model.learning_rate is rate
    assert model.lr_schedule is schedule


@pytest.mark.parametrize(("start", "kl"), [(1.0, 0.01), (1e-9, 0.01), (3e-4, 0.0)])
def test_a_start_outside_the_bounds_or_no_target_is_refused(start: float, kl: float) -> None:
    with pytest.raises(InputError):
        KLAdaptiveLR(start, target_kl=kl)
