"""One meaning of `margin_rule` on every MuJoCo from 3.3 on."""

import logging

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from rlgen.envs import TASKS, make_vec
from rlgen.errors import InputError
from rlgen.sim import model
from rlgen.sim.model import combine_margins, load_model, own_rule

RULES = ("native", "legacy")
BALL = """<mujoco><worldbody><geom type="plane" size="5 5 .1" margin="{floor}"/>
<body pos="0 0 {height}"><freejoint/><geom type="sphere" size=".1" margin="{ball}"/></body></worldbody></mujoco>"""


def ball(gap: float, ball: float = 0.01, floor: float = 0.01) -> mujoco.MjModel:
    """A ball of 0.1 m, `gap` above the floor."""
    return mujoco.MjModel.from_xml_string(BALL.format(floor=floor, ball=ball, height=0.1 + gap))


def contacts(of: mujoco.MjModel) -> int:
    data = mujoco.MjData(of)
    mujoco.mj_forward(of, data)
    return data.ncon


@pytest.mark.parametrize(
    ("version", "rule"),
    [("3.3.0", "legacy"), ("3.4.0", "legacy"), ("3.5.0", "native"), ("3.17.0", "native"), ("4.0.1", "native")],
)
def test_margins_are_summed_since_3_5(version, rule):
    assert own_rule(version) == rule


def test_the_installed_mujoco_combines_as_own_rule_says():
    assert contacts(ball(gap=0.015)) == (own_rule() == "native")


@pytest.mark.parametrize(("rule", "reach"), [("native", 0.02), ("legacy", 0.01)])
def test_native_is_the_sum_and_legacy_the_larger_on_every_mujoco(rule, reach):
    for gap, touches in ((0.99 * reach, 1), (1.01 * reach, 0)):
        model = ball(gap)
        combine_margins(model, rule)
        assert contacts(model) == touches


@pytest.mark.parametrize("rule", RULES)
def test_margins_that_differ_follow_the_own_rule_alone(rule):
    uneven = ball(0.0, floor=0.02)
    if rule == own_rule():
        combine_margins(uneven, rule)
        np.testing.assert_allclose(uneven.geom_margin, [0.02, 0.01])
    else:
        with pytest.raises(InputError, match=rf"one contact margin .*0\.01, 0\.02 m.*{own_rule()}"):
            combine_margins(uneven, rule)


@pytest.mark.parametrize("env_id", list(TASKS))
def test_every_task_can_follow_both_rules(env_id, monkeypatch):
    for own in RULES:
        monkeypatch.setattr(model, "own_rule", lambda own=own: own)
        native, legacy = (load_model(TASKS[env_id](), rule).geom_margin for rule in RULES)
        np.testing.assert_array_equal(native, 2 * legacy)


@pytest.mark.parametrize("env_id", ["Hopper-v5", "rlgen/SparseAnt-v0"])
@pytest.mark.parametrize("rule", RULES)
def test_both_backends_load_the_same_margins(env_id, rule):
    threads, reference = (make_vec(env_id, 1, backend=b, margin_rule=rule) for b in ("threads", "gymnasium"))
    np.testing.assert_array_equal(threads.sim.model.geom_margin, reference.envs[0].unwrapped.model.geom_margin)
    assert threads.sim.model.geom_margin.max() > 0
    threads.close()
    reference.close()


def test_what_gymnasium_makes_is_as_the_file_says():
    env = gym.make("rlgen/SparseAnt-v0").unwrapped
    np.testing.assert_array_equal(env.model.geom_margin, 0.01)
    env.close()


def sparse() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(
        '<mujoco><option jacobian="sparse"/><worldbody><body><freejoint/><geom size=".1"/></body></worldbody></mujoco>'
    )


@pytest.mark.parametrize(
    ("version", "of", "warned"),
    [("4.0.0", sparse, True), ("4.0.0", lambda: ball(0.0), False), ("4.0.1", sparse, False), ("3.3.0", sparse, False)],
)
def test_one_mujoco_is_warned_of_where_the_jacobian_is_sparse(version, of, warned, monkeypatch, caplog):
    monkeypatch.setattr(mujoco, "__version__", version)
    with caplog.at_level(logging.WARNING, logger="rlgen"):
        model.warn_of_solver(of(), "the ball")
    assert ("the ball has a sparse constraint Jacobian" in caplog.text) is warned


@pytest.mark.parametrize("env_id", list(TASKS))
def test_no_task_has_a_sparse_jacobian(env_id):
    assert not mujoco.mj_isSparse(load_model(TASKS[env_id]()))
