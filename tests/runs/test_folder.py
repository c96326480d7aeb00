"""A run folder is made once, says what made it, and belongs to one training at a time."""

import contextlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rlgen
from rlgen import agents, envs
from rlgen.display import Display, Metric, Panel
from rlgen.errors import InputError
from rlgen.runs import RunFolder
from rlgen.runs.config import json_text, read_json, read_object
from rlgen.system import renderer, versions
from rlgen.system.files import LOCK


def test_a_run_reads_back_the_configuration_it_started_with(tmp_path):
    config = {"agent": "gail", "hidden": (128, 128), "demos": Path("ant.npz"), "lr": 3e-4, "limit": None}
    made = RunFolder.create(tmp_path / "new" / "run", config, seed=3)
    assert made.config == {
        "agent": "gail",
        "hidden": [128, 128],
        "demos": "ant.npz",
        "lr": 3e-4,
        "limit": None,
        "seed": 3,
    }
    assert RunFolder.open(tmp_path / "new" / "run") == made


def test_versions_name_what_the_result_depends_on(tmp_path):
    run = RunFolder.create(tmp_path / "run", {}, device="cpu (1 torch thread)")
    assert {"rlgen", "torch", "numpy", "gymnasium"} <= set(run.versions["packages"])
    assert run.versions["torch_threads"] == 1
    assert run.versions["device"] == "cpu (1 torch thread)"
    assert run.versions["cpu"]


def test_a_folder_with_a_run_is_refused_and_resume_is_offered(tmp_path):
    RunFolder.create(tmp_path, {})
    with pytest.raises(InputError, match=f"rlgen resume {tmp_path}"):
        RunFolder.create(tmp_path, {})


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(InputError, match=r"1 files \(thesis.tex\)"):
        RunFolder.create(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_not_a_place_for_a_run(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="got a file"):
        RunFolder.create(tmp_path / "run", {})


def test_a_start_killed_before_its_configuration_may_start_again(tmp_path):
    (tmp_path / ".config.json.1a2b.partial").write_text('{"half')
    (tmp_path / "versions.json").write_text("{}")
    assert RunFolder.create(tmp_path, {"n": 1}).config == {"n": 1}


@pytest.mark.parametrize("entry", [{"packages": {"torch": 2}}, {"packages": []}, {"git_commit": 3}, {"sittings": {}}])
def test_versions_of_other_types_are_refused(tmp_path, entry):
    run = RunFolder.create(tmp_path / "run", {})
    (run / "versions.json").write_text(json.dumps(entry))
    with pytest.raises(InputError, match=r"expected packages' versions by name, a commit .* got other types; "):
        run.versions  # noqa: B018


def test_versions_without_a_commit_have_none(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    (run / "versions.json").write_text("{}")
    assert run.versions == {"packages": {}, "git_commit": None}


@pytest.mark.parametrize("exists", [True, False])
def test_opening_something_that_is_not_a_run_says_what_to_give(tmp_path, exists):
    with pytest.raises(InputError, match="a folder without config" if exists else "no such folder"):
        RunFolder.open(tmp_path if exists else tmp_path / "nowhere")


def test_a_configuration_that_json_cannot_hold_is_refused_before_the_run_exists(tmp_path):
    with pytest.raises(InputError, match=r"a finite number or none for learner\.rates\[1\]; got nan"):
        RunFolder.create(tmp_path / "run", {"learner": {"rates": (3e-4, math.nan)}})
    assert not (tmp_path / "run" / "config.json").exists()


HOLD = """
import sys
from rlgen.runs import RunFolder
with RunFolder.open(sys.argv[1]).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="advisory locks")
def test_a_second_training_in_one_folder_is_refused_until_the_first_is_gone(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="still running"), run.locked():
            pass
        holder.kill()
    with run.locked():
        assert RunFolder.open(run.path) == run


def test_json_is_strict():
    text = json_text(
        {"nan": math.nan, "inf": [math.inf], "array": np.float32([1, np.nan]), "n": np.int64(3), "s": {"b", "a"}}
    )

    def refuse(name):
        raise AssertionError(name)

    assert json.loads(text, parse_constant=refuse) == {
        "nan": None,
        "inf": [None],
        "array": [1, None],
        "n": 3,
        "s": ["a", "b"],
    }
    with pytest.raises(InputError, match="a object"):
        json_text(object())


def test_a_broken_json_file_is_named(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InputError, match=r"x\.json"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("content", [b"\xff{}", b"[" * 100_000, b"[]", b"null", b'"text"', b"3"])
def test_a_damaged_configuration_is_refused_in_three_parts(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(InputError, match=r"expected .*config\.json; got .*; "):
        RunFolder.open(tmp_path)
    with pytest.raises(InputError, match=r"config\.json"):
        read_object(tmp_path / "config.json")


def test_the_commit_says_when_the_checkout_was_changed(tmp_path, monkeypatch):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "Start"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(versions.rlgen, "__file__", str(tmp_path / "rlgen" / "__init__.py"))
    clean = versions.checkout_commit()
    (tmp_path / "new.py").write_text("")
    assert len(clean) == 40
    assert versions.checkout_commit() == clean + "-dirty"


def test_an_installed_package_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(versions.rlgen, "__file__", str(tmp_path / "rlgen" / "__init__.py"))
    assert versions.checkout_commit() is None


def test_a_run_says_how_it_is_shown_and_one_that_does_not_goes_by_its_agent(tmp_path):
    display = Display(name="InfoGAIL", panels=(Panel("Loss", (Metric("x/loss", "loss"),), limits=(0, None)),))
    RunFolder.create(tmp_path / "run", {"agent": "infogail"}, display=display)
    assert RunFolder.open(tmp_path / "run").display == display
    assert RunFolder.open(tmp_path / "run").agent_name == "InfoGAIL"
    (tmp_path / "run" / "display.json").unlink()
    assert RunFolder.open(tmp_path / "run").agent_name == "INFOGAIL"
    (tmp_path / "run" / "display.json").write_text('{"panels": [{"title": 3}]}')
    with pytest.raises(InputError):
        RunFolder.open(tmp_path / "run").display  # noqa: B018


def test_videos_come_in_the_order_of_their_codes_and_gifs_where_there_is_no_mp4(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    assert run.videos == []
    for number in (10, 2):
        (run / f"video_code_{number}.gif").write_bytes(b"film")
    assert [path.name for path in run.videos] == ["video_code_2.gif", "video_code_10.gif"]
    (run / "video.mp4").write_bytes(b"film")
    assert [path.name for path in run.videos] == ["video.mp4"]


def test_a_run_is_finished_when_its_end_was_reached(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    run = RunFolder.open(tmp_path)
    (tmp_path / "report.html").write_text("")
    assert not run.finished, "reported before there was a result"
    assert run.length is None
    for length in (None, 320):
        run.begin(length)
        assert run.length == length
    (tmp_path / "result.json").write_text("{}")
    assert not run.finished, "no video yet"
    run.end()
    assert run.finished
    assert run.length is None


def test_a_copy_of_a_finished_run_is_finished_whatever_its_times(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    for number, name in enumerate(("report.html", "result.json")):
        (run / name).write_text("{}")
        os.utime(run / name, (number, number))
    assert RunFolder.open(shutil.copytree(run.path, tmp_path / "copy")).finished
    (tmp_path / "copy" / "report.html").unlink()
    assert RunFolder.open(tmp_path / "copy").finished, "nothing of it is made again"


def test_links_out_of_a_run_are_refused(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    secret = tmp_path / "secret"
    secret.write_text("…")
    (run / "samples").mkdir()
    (run / "newest").symlink_to(run / "samples")
    assert RunFolder.open(run.path) == run, "links within it lead nowhere else"
    (tmp_path / "name").symlink_to(run.path)
    assert RunFolder.open(tmp_path / "name").config == {}
    for place in ("video.mp4", "samples/000000001.png", "tensorboard"):
        (run / place).symlink_to(secret if "." in place else tmp_path)
        with pytest.raises(InputError, match=f"got the link {place}"):
            RunFolder.open(run.path)
        (run / place).unlink()


def test_a_link_to_itself_is_an_unreadable_file(tmp_path):
    run = RunFolder.create(tmp_path / "run", {"seed": 1})
    (run / "result.json").symlink_to("result.json")
    assert not RunFolder.open(run.path).finished
    with pytest.raises(InputError, match="symbolic link"):
        read_json(run / "result.json")


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "diary").write_text("dear diary")
    run = RunFolder.create(tmp_path / "run", {})
    (run / LOCK).unlink()
    (run / LOCK).symlink_to(tmp_path / "diary")
    with pytest.raises(OSError, match="symbolic"), run.locked():
        pass
    assert (tmp_path / "diary").read_text() == "dear diary"


START = """
import sys
from pathlib import Path
import rlgen
from rlgen import agents, envs
from rlgen.errors import InputError
from rlgen.system import renderer
from rlgen.system import versions
from rlgen.runs import RunFolder
versions.describe = lambda device: {"packages": {}}
print(flush=True)
for place in sys.stdin:
    try:
        RunFolder.create(place.strip(), {"seed": int(sys.argv[1])})
        print("made", flush=True)
    except InputError:
        print("refused", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="advisory locks")
def test_of_two_that_start_at_once_one_makes_the_run(tmp_path):
    with contextlib.ExitStack() as stack:
        both = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", START, str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for seed in range(2)
        ]
        for each in both:
            each.stdout.readline()
        for pair in range(20):
            place = tmp_path / str(pair)
            for each in both:
                each.stdin.write(f"{place}\n")
                each.stdin.flush()
            said = [each.stdout.readline().strip() for each in both]
            assert sorted(said) == ["made", "refused"]
            assert RunFolder.open(place).config["seed"] == said.index("made")
        for each in both:
            each.stdin.close()


def test_a_training_removes_what_a_killed_one_left_half_written(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    (run / "video.mp4").write_bytes(b"film")
    (run / ".report.html.1a2b.partial").write_text("half")
    (run / ".video-x.partial").mkdir()
    (run / ".video-x.partial" / "model.mjb").write_text("half")
    (run / "samples").mkdir()
    (run / "samples" / ".1.png.1a2b.partial").write_text("half")
    with run.locked():
        assert [path.name for path in run.path.rglob("*.partial")] == []
    assert (run / "video.mp4").is_file()


def test_the_children_of_a_command_import_nothing_from_the_working_folder(tmp_path, monkeypatch):
    """Neither `-c` nor `-m` does with `-P`; what looks for a renderer is asked, and every other child read."""
    (tmp_path / "mujoco.py").write_text("import pathlib; pathlib.Path('ran').touch()")
    monkeypatch.chdir(tmp_path)
    renderer._probe("egl")
    assert not (tmp_path / "ran").exists()
    places = [Path(rlgen.__file__).parent, Path(agents.__file__).parent, Path(envs.__file__).parent]
    for file in (file for place in places for file in place.rglob("*.py")):
        text = file.read_text()
        assert text.count("sys.executable,") == text.count('sys.executable, "-P", '), file
