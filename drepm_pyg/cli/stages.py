"""The steps of a command on stderr: a bar on a terminal, nothing elsewhere."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Stages"]


class Stages:
    """A bar that says what is being done and how long all has taken; call it at the start of each step.

    Args:
        total: how many steps there will be.
    """

    def __init__(self, total: int) -> None:
        console = Console(stderr=True, highlight=False)
        self.bar = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("", total=total)
        self.begun = 0

    def __enter__(self) -> "Stages":
        self.bar.start()
        return self

    def __call__(self, description: str) -> None:
        """Begin the next step."""
        self.bar.update(self.task, completed=self.begun, description=description)
        self.begun += 1

    def share(self, done: float) -> None:
        """How much of the current step is done, up to 1."""
        self.bar.update(self.task, completed=self.begun - 1 + done)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
