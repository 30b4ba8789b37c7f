"""How a long job says how far it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Stages follow one another; each has a number of steps, or 0 when that is unknown."""

    def stage(self, name: str, total: int = 0) -> None:
        """Begin a stage of `total` steps."""
        ...

    def advance(self, steps: int = 1, **values: float | str) -> None:
        """So many steps of the stage are done; `values` are shown beside the bar."""
        ...

    def note(self, text: str) -> None:
        """Show a line that should stay on the screen."""
        ...


class Silent:
    """A progress that nobody watches."""

    def stage(self, name: str, total: int = 0) -> None:
        """Tell nobody of the stage."""

    def advance(self, steps: int = 1, **values: float | str) -> None:
        """Tell nobody of the steps."""

    def note(self, text: str) -> None:
        """Show the line to nobody."""


SILENT = Silent()
