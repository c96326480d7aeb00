"""States that were saved before a task had a setting."""

import pytest

from rlgen.envs import make_vec
from rlgen.errors import InputError


def test_a_state_from_before_a_setting_is_one_of_its_default() -> None:
    env = make_vec("rlgen/SparseAnt-v0", 1, seed=0)
    env.reset()
    state = env.state_dict()
    whole = state["sim"]["made_as"]
    assert "end_on_back=False" in whole
    state["sim"]["made_as"] = whole.replace(", end_on_back=False", "").replace("action_repeat=1, ", "")
    env.load_state_dict(state)
    for kwargs in ({"end_on_back": True}, {"action_repeat": 2}, {"goal_x": 4.0}):
        with pytest.raises(InputError, match="make the environment with the same arguments"):
            make_vec("rlgen/SparseAnt-v0", 1, env_kwargs=kwargs).load_state_dict(state)
