"""A dataset as a run names it among its inputs."""

from __future__ import annotations

from dataclasses import dataclass

from predictor.config import shortened


@dataclass(frozen=True)
class DatasetUse:
    """Which dataset a run reads, and how much of it.

    Attributes:
        name: as the user named it. digest: of the accepted rows. uri: what was read.
        rows, refused, used: of the source, of these not accepted, and of the accepted those that the run works on.
        context: `training`, `evaluation` or `replay`.
    """

    name: str
    digest: str
    uri: str
    rows: int
    refused: int
    used: int
    context: str

    @property
    def short_name(self) -> str:
        """The name without folders."""
        return shortened(self.name)
