"""Which runs a reader wants, the same for every way of reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import ViewType

from predictor.errors import TrackingError
from predictor.schema import keys

PARENT_TAGS = ("mlflow.parentRunId", keys.TAG_PARENT)
"""A run has at most one of them: a fine-tune ours, unless it was written before there was one."""
_PAGE = 1000


@dataclass(frozen=True)
class Selection:
    """Active runs that carry our tags and hold a start time, in active experiments.

    Attributes:
        experiments: ids of active experiments.
        kind: `finetune`, `probe`, … or None for every kind.
        parent: id of a run whose child runs are wanted, or None.
    """

    experiments: tuple[str, ...]
    kind: str | None
    parent: str | None

    @property
    def filters(self) -> tuple[str, ...]:
        """The same as filter strings of MLflow's search, which has no OR; without the experiments.

        Every client writes a start time; a run without one would have no place in a window of time.
        """
        wanted = f"tags.`{keys.TAG_KIND}` = {_quoted(self.kind)}" if self.kind else f"tags.`{keys.TAG_SCHEMA}` LIKE '%'"
        if not self.parent:
            return (wanted,)
        return tuple(f"{wanted} AND tags.`{tag}` = {_quoted(self.parent)}" for tag in PARENT_TAGS)


def experiment_ids(client: Any, names: Sequence[str] | None) -> tuple[str, ...]:
    """Ids of the named active experiments, of all of them when `names` is None.

    Raises:
        TrackingError: an experiment does not exist, or is deleted.
    """
    by_name: dict[str, str] = {}
    token = None
    while True:
        page = client.search_experiments(view_type=ViewType.ACTIVE_ONLY, max_results=_PAGE, page_token=token)
        by_name.update((experiment.name, str(experiment.experiment_id)) for experiment in page)
        token = page.token
        if not token:
            break
    if names is None:
        return tuple(by_name.values())
    for name in names:
        if name not in by_name:
            raise TrackingError(
                f"experiment '{name}' does not exist",
                where=str(client.tracking_uri),
                rule=f"experiments: {', '.join(sorted(by_name))}",
                fix="check the name, or leave it out to read all experiments",
            )
    return tuple(by_name[name] for name in names)


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"
