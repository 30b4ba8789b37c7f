"""The plain way of reading runs: MLflow's own search, in windows of start time. Every store answers it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from predictor.tracking.selection import Selection

PAGE = 1000
"""Runs in one answer: about 15 MB over HTTP."""


def search(
    client: MlflowClient,
    selection: Selection,
    page: int = PAGE,
    *,
    further: str = "",
    since: int = 0,
    view: int = ViewType.ACTIVE_ONLY,
) -> Iterator[Run]:
    """Every selected run once, by start time; when a parent is asked for, tag after tag of those that name one.

    Each window begins where the last one ended, by start time and not by a page token: a token of a database store is
    an offset, so a run that is deleted meanwhile would shift the others past the reader, and late pages cost as much as
    all before them. A run may start within the same millisecond as many others, so the last millisecond of a full page
    is asked for again, and one that fills a whole page is read by itself.

    Args:
        further: a further condition of MLflow's search, such as `attributes.status = 'RUNNING'`.
        since: milliseconds; runs that started before are left out.
        view: deleted runs instead of active ones.

    Raises:
        MlflowException: the store does not answer.
    """
    for wanted in selection.filters if selection.experiments else ():
        conditions = f"{wanted} AND {further}" if further else wanted
        yield from _search(client, selection.experiments, conditions, page, since, view)


def _search(
    client: MlflowClient, experiments: Sequence[str], wanted: str, page: int, since: int, view: int
) -> Iterator[Run]:
    while True:
        found, more = _page(client, experiments, f"{wanted} AND attributes.start_time >= {since}", page, view)
        if not more:
            yield from found
            return
        last = found[-1].info.start_time
        complete = [run for run in found if run.info.start_time < last]
        yield from complete
        since = last
        if not complete:
            yield from _millisecond(client, experiments, f"{wanted} AND attributes.start_time = {last}", page, view)
            since = last + 1


def _millisecond(client: MlflowClient, experiments: Sequence[str], wanted: str, page: int, view: int) -> Iterator[Run]:
    """The runs of one millisecond. Nothing but a page token divides them further."""
    token = ""
    while True:
        found, token = _page(client, experiments, wanted, page, view, token)
        yield from found
        if not token:
            return


def _page(
    client: MlflowClient, experiments: Sequence[str], wanted: str, size: int, view: int, token: str = ""
) -> tuple[list[Run], str]:
    """At least one run when there is one, and a token when there are more; some stores send empty pages in between."""
    while True:
        found = client.search_runs(
            list(experiments),
            filter_string=wanted,
            run_view_type=view,
            max_results=size,
            order_by=["attributes.start_time ASC"],
            page_token=token or None,
        )
        token = found.token or ""
        if found or not token:
            return list(found), token
