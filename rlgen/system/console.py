"""Terminal output: a console, plain or colored, and a progress display."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console as RichConsole
from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar


class Console(RichConsole):
    """Rich's console with two differences: NO_COLOR removes colors only, and a closed pipe raises its error."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.no_color:
            super().__init__(**{**options, "color_system": None})

    def on_broken_pipe(self) -> None:
        """Raise the current error again, so that the command decides how to end."""
        raise


def is_plain() -> bool:
    """Whether colors are switched off."""
    return RichConsole().no_color


PLAIN_INTERVAL_S = 30.0
# The displayed speed is that of the last minute, so an evaluation or a suspended laptop affects it only briefly.
SPEED_WINDOW_S = 60.0
BAR_WIDTH = 20


class Progress:
    """Shows steps, steps/s, the remaining time and named values. Use as a context manager.

    On resume `start` is the step from which the run continues: the bar begins there, and the speed counts only new
    steps.
    """

    def __init__(
        self,
        title: str,
        total: int,
        *,
        start: int = 0,
        unit: str = "steps",
        show: bool = True,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._total, self._step, self._unit = title, total, start, unit
        self._console = console or Console()
        self._clock = clock
        self._bar: Bar | None = None
        self._task = TaskID(0)
        self._show = show = show and logging.getLogger("rlgen").level <= logging.INFO
        now = clock()
        self._history: deque[tuple[float, int]] = deque([(now, start)])
        self._last_plain = now
        self._values: dict[str, float] = {}
        if show and self._console.is_terminal:
            self._bar = _make_bar(self._console)
            self._task = self._bar.add_task(title, total=total, completed=start, facts="")

    def update(self, step: int, values: Mapping[str, float] | None = None) -> None:
        """Show that `step` steps are done, and the latest values; a value stays visible until it is replaced."""
        self._step = step
        self._values.update(values or {})
        now = self._clock()
        self._history.append((now, step))
        while len(self._history) > 2 and now - self._history[1][0] > SPEED_WINDOW_S:
            self._history.popleft()
        if self._bar is not None:
            self._bar.update(
                self._task, description=self._title, total=self._total, completed=step, facts=self._fitting()
            )
        elif self._show and now - self._last_plain >= PLAIN_INTERVAL_S:
            self._print_plain()

    def aside(self, title: str, done: int, total: int, unit: str) -> None:
        """Show the progress of work that precedes the steps, such as cloning; the speed of the steps excludes it."""
        now = self._clock()
        self._history = deque([(now, self._step)])
        if self._bar is not None:
            self._bar.update(self._task, description=title, total=total, completed=done, facts=f"{done:,} {unit}")
        elif self._show and now - self._last_plain >= PLAIN_INTERVAL_S:
            self._last_plain = now
            self.message(f"{title}: {done:,} of at most {total:,} {unit}")

    def message(self, text: str) -> None:
        """Print a permanent line above the bar."""
        if self._show:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @property
    def steps_per_second(self) -> float | None:
        """Speed over the last minute; None before the first measurement."""
        (begin, first), (end, last) = self._history[0], self._history[-1]
        return (last - first) / (end - begin) if end > begin else None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._show and self._last_plain != self._history[0][0] and kind is None:
            self._print_plain()

    def _print_plain(self) -> None:
        self._last_plain = self._clock()
        share = f"{min(1.0, self._step / self._total):.0%}" if self._total else "100%"  # the last round may overshoot
        self.message(f"{self._title}: {self._step:,} of {self._total:,} {self._unit} ({share}), {self._facts()}")

    def _facts(self) -> str:
        return ", ".join([*self._speed(), *self._left(), *self._shown()])

    def _fitting(self) -> str:
        """The facts that fit on the bar's line, most important first: the remaining time, then the first value."""
        room = self._console.width - len(self._title) - BAR_WIDTH - len("100%") - 3
        first, *others = [*self._shown(), ""]
        chosen = ""
        for fact in [*self._left(), first, *self._speed(), f"{self._step:,} of {self._total:,}", *others]:
            longer = ", ".join(part for part in (chosen, fact) if part)
            if len(longer) > room:
                break
            chosen = longer
        return chosen

    def _speed(self) -> list[str]:
        speed = self.steps_per_second
        return [f"{speed:,.0f} steps/s"] if speed and self._unit == "steps" else []

    def _left(self) -> list[str]:
        speed = self.steps_per_second
        known = speed and self._step < self._total
        return [f"{duration((self._total - self._step) / speed)} left"] if speed and known else []

    def _shown(self) -> list[str]:
        return [f"{name} {number(value)}" for name, value in self._values.items()]


def duration(seconds: float) -> str:
    """12 s, 4 min 10 s, 2 h 05 min, 3 d 4 h."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def number(value: float | None) -> str:
    """A value in short, readable form: 4,612 · 636 · 88.1 · 0.812 · 1.2e-05; – for NaN and None."""
    if value is None or value != value:
        return "–"
    size = abs(value)
    if size >= 1000 or (size >= 100 and value == round(value)):
        return f"{value:,.0f}"
    if size >= 10 or value == 0:
        return f"{value:.1f}"
    return f"{value:.3f}" if size >= 0.001 else f"{value:.1e}"


def _make_bar(console: Console) -> Bar:
    return Bar(
        TextColumn("[bold]{task.description}", markup=True),
        BarColumn(bar_width=BAR_WIDTH),
        TaskProgressColumn(),
        TextColumn("{task.fields[facts]}", markup=False),
        console=console,
        refresh_per_second=4,
    )
