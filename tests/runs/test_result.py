"""result.json holds the promised fields, in strict JSON, and reads back as it was."""

import json

import numpy as np
import pytest

from rlgen.errors import InputError
from rlgen.runs import Result
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


def make(**changes) -> Result:
    settings = {
        "agent": "gail",
        "env": "Ant-v5",
        "seed": 1,
        "env_steps": 1_000_000,
        "wall_seconds": 250.0,
        "evaluation_seed": 1000,
        "expert_return": 4000.0,
        "random_return": 0.0,
    } | changes
    return Result.of(evaluation(3000.0, 1000.0), **settings)


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
    assert (found.share_of_failures, found.per_episode_returns, found.return_mean) == (None, None, 2000)


def test_a_result_that_calls_every_end_a_fall_is_read(tmp_path):
    path = make().write(tmp_path)
    old = json.loads(path.read_text())
    old["share_of_falls"] = old.pop("terminated")
    path.write_text(json.dumps(old))
    assert Result.read(tmp_path).terminated == 0.5


def test_a_result_says_whose_return_counts_as_one(tmp_path):
    make(reference="expert").write(tmp_path)
    assert Result.read(tmp_path).reference == "expert"
    assert make().reference == "demonstrations"


def test_what_exploring_found_is_in_the_result_where_it_is_known(tmp_path):
    result = make(first_reward_step=5000, cells_visited=120)
    result.write(tmp_path)
    assert (Result.read(tmp_path).first_reward_step, Result.read(tmp_path).cells_visited) == (5000, 120)
    assert (make().first_reward_step, make().cells_visited) == (None, None)


def test_a_policy_with_codes_has_a_return_for_each(tmp_path):
    result = make(of_code=[evaluation(1.0, 3.0), evaluation(7.0, 7.0)])
    result.write(tmp_path)
    assert Result.read(tmp_path).return_mean_of_code == [2.0, 7.0]
    assert Result.read(tmp_path).returns_by_code() == [(2.0, 1.0), (7.0, 0.0)]
    assert result.return_mean == make().return_mean
    assert (make().return_mean_of_code, make().returns_by_code()) == (None, [])


def test_what_is_not_known_or_not_a_number_is_null(tmp_path):
    result = Result.of(
        evaluation(np.nan, 1.0), agent="bc", env="x", seed=0, env_steps=0, wall_seconds=0.0, evaluation_seed=0
    )
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
