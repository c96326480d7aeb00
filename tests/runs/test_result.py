"""result.json holds the promised fields, in strict JSON, and reads back as it was."""

import json

import numpy as np
import pytest

from rlgen.errors import InputError
from rlgen.runs import Result, Returns
from rlgen.runs.evaluation import Evaluation
from rlgen.runs.result import peak_memory_mb

# The fields that scripts rely on, as the design lists them.
PROMISED = {
    *("agent", "env", "seed", "env_steps", "wall_seconds", "env_steps_per_second", "return_mean", "return_std"),
    *("episode_length_mean", "episodes", "expert_return", "random_return", "normalised_return"),
    *("device", "versions", "git_commit"),
}


def evaluation(*returns: float) -> Evaluation:
    return Evaluation(np.array(returns), np.array([1000, 500]), np.array([False, True]))


def make(*, parts=None, returns=None, **changes) -> Result:
    scores = {"env": "Ant-v5", "evaluation_seed": 1000, "expert_return": 4000.0, "random_return": 0.0} | (returns or {})
    settings = {"agent": "gail", "seed": 1, "steps": 1_000_000, "wall_seconds": 250.0} | changes
    return Result(returns=Returns.of(evaluation(3000.0, 1000.0), parts=parts, **scores), **settings)


def test_the_file_has_the_promised_fields(tmp_path):
    path = make(versions={"torch": "2.13.0"}, git_commit="abc").write(tmp_path)
    written = json.loads(path.read_text())
    assert set(written) >= PROMISED
    assert written["return_mean"] == 2000
    assert written["return_min"] == 1000
    assert written["env_steps_per_second"] == 4000
    assert written["normalised_return"] == 0.5
    assert written["terminated"] == 0.5
    assert written["share_of_failures"] == 0.5, "1000 is below half of 4000"
    assert written["per_episode_returns"] == [3000.0, 1000.0]
    assert written["versions"] == {"torch": "2.13.0"}


def test_it_reads_back_as_it_was(tmp_path):
    result = make()
    result.write(tmp_path)
    assert Result.read(tmp_path) == result


def test_a_result_from_before_failures_were_counted_is_read(tmp_path):
    path = make().write(tmp_path)
    old = json.loads(path.read_text())
    del old["share_of_failures"], old["per_episode_returns"]
    path.write_text(json.dumps(old))
    found = Result.read(tmp_path)
    assert (found.returns.share_of_failures, found.returns.per_episode_returns, found.returns.return_mean) == (
        None,
        None,
        2000,
    )


def test_a_result_that_calls_every_end_a_fall_is_read(tmp_path):
    path = make().write(tmp_path)
    old = json.loads(path.read_text())
    old["share_of_falls"] = old.pop("terminated")
    path.write_text(json.dumps(old))
    assert Result.read(tmp_path).returns.terminated == 0.5


def test_a_result_says_whose_return_counts_as_one(tmp_path):
    make(returns={"reference": "expert"}).write(tmp_path)
    assert Result.read(tmp_path).returns.reference == "expert"
    assert make().returns.reference == "demonstrations"


def test_a_policy_with_several_ways_of_acting_has_a_return_for_each(tmp_path):
    result = make(parts={"code 0": evaluation(1.0, 3.0), "code 1": evaluation(7.0, 7.0)})
    result.write(tmp_path)
    assert Result.read(tmp_path).returns.parts == {"code 0": [2.0, 1.0], "code 1": [7.0, 0.0]}
    assert result.returns.return_mean == make().returns.return_mean
    assert make().returns.parts == {}


def test_a_result_without_returns_comes_back_from_its_file(tmp_path):
    metrics = {"nll": 84.25, "extractor": "text", "fid": None}
    result = Result(agent="image", seed=0, steps=1_000, unit="updates", wall_seconds=20.0, metrics=metrics)
    path = result.write(tmp_path)
    assert Result.read(tmp_path) == result
    assert (result.env_steps, result.steps_per_second) == (0, 50.0)
    entries = json.loads(path.read_text())
    assert "return_mean" not in entries
    path.write_text(json.dumps({**entries, "metrics": [1]}))
    with pytest.raises(InputError, match="metrics by name"):
        Result.read(tmp_path)


FLAT = {"agent": "x", "seed": 0, "wall_seconds": 1.0}
PLAYED = {
    "env": "Ant-v5", "return_mean": 1.0, "return_std": 0.0, "return_min": 1.0, "return_max": 1.0,
    "episode_length_mean": 1.0, "episodes": 1, "terminated": 0.0, "evaluation_seed": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("old", "steps", "unit", "metrics"),
    [
        ({**PLAYED, "env_steps": 128, "env_steps_per_second": 64.0, "updates": None}, 128, "steps", {}),
        ({**PLAYED, "env_steps": 0, "updates": 40, "cloning": "plain"}, 40, "updates", {"cloning": "plain"}),
        ({**PLAYED, "env_steps": 9, "cells_visited": 7, "first_reward_step": None}, 9, "steps",
         {"cells_visited": 7, "first_reward_step": None}),
        ({"steps": 4, "model": "vae", "parameters": 612, "metrics": {"nll": 44.0}}, 4, "updates",
         {"model": "vae", "parameters": 612, "nll": 44.0}),
    ],
)  # fmt: skip
def test_results_of_earlier_versions_are_read(tmp_path, old, steps, unit, metrics):
    (tmp_path / "result.json").write_text(json.dumps({**FLAT, **old}))
    found = Result.read(tmp_path)
    assert (found.steps, found.unit, found.metrics) == (steps, unit, metrics)
    assert (found.returns is None) == ("env" not in old)


def test_returns_of_codes_of_an_earlier_version_are_parts(tmp_path):
    old = {**FLAT, **PLAYED, "env_steps": 1, "return_mean_of_code": [6.5, 6.0], "return_std_of_code": [0.5, 1.0]}
    (tmp_path / "result.json").write_text(json.dumps(old))
    assert Result.read(tmp_path).returns.parts == {"code 0": [6.5, 0.5], "code 1": [6.0, 1.0]}


def test_entries_of_the_returns_are_attributes_for_one_version_more():
    with pytest.warns(DeprecationWarning, match=r"read result\.returns\.return_mean"):
        assert make().return_mean == 2000
    assert not hasattr(make(), "nothing")


def test_what_is_not_known_or_not_a_number_is_null(tmp_path):
    returns = Returns.of(evaluation(np.nan, 1.0), env="x", evaluation_seed=0)
    result = Result(agent="bc", seed=0, steps=0, wall_seconds=0.0, returns=returns)
    text = result.write(tmp_path).read_text()

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    written = json.loads(text, parse_constant=refuse)
    for name in ("return_mean", "env_steps_per_second", "expert_return", "normalised_return", "git_commit"):
        assert written[name] is None


def test_a_run_without_a_result_is_told_to_finish(tmp_path):
    with pytest.raises(InputError, match="rlgen resume"):
        Result.read(tmp_path)


def test_a_result_of_another_version_is_named(tmp_path):
    (tmp_path / "result.json").write_text('{"agent": "gail"}')
    with pytest.raises(InputError, match=r"result.json.*evaluate the run again"):
        Result.read(tmp_path)


def test_peak_memory_is_that_of_a_process_with_torch():
    assert 50 < peak_memory_mb() < 100_000
