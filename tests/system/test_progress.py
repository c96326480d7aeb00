"""Progress shows speed, time left and values; on resume it goes on from the step of the checkpoint."""

import io

import pytest
from rich.console import Console

from rlgen.system.console import Progress, duration, number


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def plain() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=False, width=200), text


def test_without_a_terminal_there_is_a_plain_line_every_thirty_seconds():
    console, text = plain()
    clock = Clock()
    with Progress("GAIL on Ant-v5", 1_000_000, console=console, clock=clock) as progress:
        for step in range(1, 8):
            clock.now += 10
            progress.update(step * 20_000, {"return": 812.44, "accuracy": 0.8123})
    lines = text.getvalue().splitlines()
    assert lines[0] == (
        "GAIL on Ant-v5: 60,000 of 1,000,000 steps (6%), 2,000 steps/s, 7 min 50 s left, return 812.4, accuracy 0.812"
    )
    assert [line.split(" of ")[0].split()[-1] for line in lines] == ["60,000", "120,000", "140,000"]


def test_a_resumed_run_starts_at_its_step_and_counts_only_new_steps():
    console, text = plain()
    clock = Clock()
    with Progress("x", 1_000_000, start=900_000, console=console, clock=clock) as progress:
        clock.now = 30
        progress.update(930_000)
        assert progress.steps_per_second == 1000
    assert text.getvalue().splitlines()[0] == "x: 930,000 of 1,000,000 steps (93%), 1,000 steps/s, 1 min 10 s left"


def test_a_last_round_that_overshoots_is_all_and_not_more():
    console, text = plain()
    clock = Clock()
    with Progress("x", 30_000, console=console, clock=clock) as progress:
        clock.now = 60
        progress.update(32_768)
    assert "32,768 of 30,000 steps (100%)" in text.getvalue()
    assert "left" not in text.getvalue()


def test_the_speed_is_that_of_the_last_minute():
    clock = Clock()
    progress = Progress("x", 10**9, show=False, clock=clock)
    for step in range(100):
        clock.now += 1
        progress.update(step * 10)
    base = progress._step
    for step in range(1, 101):
        clock.now += 1
        progress.update(base + step * 50)
    assert progress.steps_per_second == pytest.approx(50)


def test_on_a_terminal_there_is_a_bar_with_the_values():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=160)
    with Progress("GAIL", 1000, start=500, console=console) as progress:
        progress.update(750, {"return": 4612.0})
        progress.message("[saved] at 750")
    shown = text.getvalue()
    assert "75%" in shown
    assert "return 4,612" in shown
    assert "[saved] at 750" in shown


def test_eighty_columns_keep_share_time_left_and_return():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    clock = Clock()
    with Progress("GAIL on Ant-v5", 1_000_000, console=console, clock=clock) as progress:
        clock.now = 10
        progress.update(16_384, {"return": 490.2, "D acc policy": 0.821, "expert": 0.7})
        progress._bar.refresh()
    for part in ("2%", "10 min 00 s left", "return 490.2"):
        assert part in text.getvalue(), part
    assert "…" not in text.getvalue()


def test_what_comes_before_the_steps_is_shown_and_does_not_slow_them():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    clock = Clock()
    with Progress("GAIL", 10_000, console=console, clock=clock) as progress:
        clock.now = 100
        progress.aside("GAIL: cloning", 500, 1_000, "updates")
        progress._bar.refresh()
        clock.now = 101
        progress.update(1_000)
        assert progress.steps_per_second == 1_000
    assert "GAIL: cloning" in text.getvalue()
    assert "50%" in text.getvalue()
    assert "9 s left" in text.getvalue()


def test_a_silent_progress_prints_nothing(capsys):
    with Progress("x", 10, show=False) as progress:
        progress.update(10)
        progress.message("hidden")
    assert capsys.readouterr() == ("", "")


def test_an_error_is_not_followed_by_a_progress_line():
    console, text = plain()
    with pytest.raises(RuntimeError), Progress("x", 10, console=console):
        raise RuntimeError
    assert text.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (12, "12 s"),
        (250, "4 min 10 s"),
        (59.7, "1 min 00 s"),
        (7500, "2 h 05 min"),
        (270_000, "3 d 3 h"),
        (2**70, f"{2**70 // 86400} d {2**70 // 3600 % 24} h"),
    ],
)
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4612.4, "4,612"),
        (636.0, "636"),
        (500.5, "500.5"),
        (-88.12, "-88.1"),
        (0.8123, "0.812"),
        (1.2e-5, "1.2e-05"),
        (0, "0.0"),
        (float("nan"), "–"),
    ],
)
def test_numbers_read_well(value, text):
    assert number(value) == text
