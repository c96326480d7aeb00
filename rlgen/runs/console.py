"""Where text for people goes: one kind of console, without any colour or bold where NO_COLOR asks for that."""

from typing import Any

from rich.console import Console as RichConsole


class Console(RichConsole):
    """Rich's, which obeys NO_COLOR by dropping colours only; a closed pipe is an error like any other."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.no_color:
            super().__init__(**{**options, "color_system": None})

    def on_broken_pipe(self) -> None:
        """Raise the error that is being handled: the command decides how it ends."""
        raise


def is_plain() -> bool:
    """Whether no colours are wanted."""
    return RichConsole().no_color
