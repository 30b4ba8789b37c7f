"""Who trains a configuration: a claim that at most one owner wins, and that a stalled owner loses.

MLflow has no compare-and-set. What it has is enough: a run once created is seen by every later read. A claimant creates
its run first (`claimed`) and reads afterwards. It withdraws when it sees a claim that is `held`, or an undecided one
with a smaller run id, and waits while an undecided claim with a larger id is in sight, since its owner may have read
before this run existed and be about to hold. Only then does it hold. Of two claimants the later reader sees the other's
run, so both can never hold. A claimant that dies undecided is ended by the reaper, and nobody waits for it for ever.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Run, RunTag, ViewType
from mlflow.exceptions import MlflowException

from predictor.errors import LeaseLost, TrackingError
from predictor.masking import masked
from predictor.schema import keys
from predictor.tracking import spool
from predictor.tracking.owner import end_of, is_gone, this_process

LEASE_S = 300.0
"""Seconds of silence after which the owner of a run on another host counts as gone."""
ABANDONED = keys.FAILURE_ABANDONED
"""How the failure of a run begins whose process died by its own fault; the signal follows."""
_PAUSE_S = 0.05
_CLAIMED, _HELD = "claimed", "held"
_MANY, _FEW = 1000, 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refusal:
    """Why a configuration was not claimed: `done` already, or `busy` with another owner; `run_id` names that run."""

    reason: str
    run_id: str


class Lease:
    """A run that this process may write. Use it as a context: a thread renews the deadline while it is open."""

    def __init__(self, client: Any, run_id: str, experiment: str, owner: str, lease_s: float) -> None:
        self.client = client
        self.run_id = run_id
        self.experiment_id = experiment
        self.owner = owner
        self._lease_s = lease_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5.0)

    def require(self) -> None:
        """Make sure that the run is still this owner's, just before its results are written.

        Raises:
            LeaseLost: somebody ended the run, or took it over.
        """
        run = self.client.get_run(self.run_id)
        tags = run.data.tags
        if run.info.status != "RUNNING" or keys.TAG_REAPED in tags or tags.get(keys.TAG_OWNER) != self.owner:
            raise LeaseLost(
                f"the run was ended by {tags.get(keys.TAG_REAPED, 'somebody else')} while its owner was silent",
                where=f"run {self.run_id}",
                rule=f"an owner that is silent for {self._lease_s:.0f} s loses its run",
                fix="nothing: the configuration is trained by another owner",
            )

    def retract(self) -> None:
        """Take back results that slipped in while the run was given away: the look before writing cannot exclude it."""
        run = self.client.get_run(self.run_id)
        if keys.TAG_REAPED in run.data.tags and keys.TAG_COMPLETE in run.data.tags:
            self.client.delete_tag(self.run_id, keys.TAG_COMPLETE)
            self.client.set_terminated(self.run_id, "KILLED")

    def _renew(self) -> None:
        while not self._stop.wait(self._lease_s / 3):
            try:
                self.client.set_tag(self.run_id, keys.TAG_LEASE_UNTIL, _deadline(self._lease_s))
            except Exception:
                continue  # the owner asks again before it writes its results


def claim(
    client: Any,
    experiment: str,
    config_hash: str,
    *,
    run_name: str,
    tags: Mapping[str, str],
    parent: str | None = None,
    lease_s: float = LEASE_S,
) -> Lease | Refusal:
    """Create the run of a configuration, unless it is done or another living owner has it.

    Args:
        experiment: id; claims of a configuration are compared within it.
        config_hash: identity of the configuration.
        tags: further tags of the run.
        parent: id of the run that the fine-tune belongs to.
        lease_s: seconds of silence that the others must grant.
    """
    refusal = _refusal(_runs_of(client, experiment, config_hash))
    if refusal:
        return refusal
    owner, token = this_process(), uuid.uuid4().hex
    opening = {
        keys.TAG_CONFIG_HASH: config_hash,
        keys.TAG_OWNER: owner,
        keys.TAG_LEASE_STATE: _CLAIMED,
        keys.TAG_LEASE_UNTIL: _deadline(lease_s),
        keys.TAG_LEASE_TOKEN: token,
        "mlflow.source.name": "predictor",
        "mlflow.source.type": "LOCAL",
        **({keys.TAG_PARENT: parent} if parent else {}),
        **tags,
    }
    created = client.create_run(experiment, run_name=run_name, tags=opening)
    run_id = str(created.info.run_id)
    while True:
        others = [run for run in _runs_of(client, experiment, config_hash) if run.info.run_id != run_id]
        for run in others:
            repeated = (
                run.data.tags.get(keys.TAG_LEASE_TOKEN) == token
            )  # the store had made a run and its answer was lost
            if _lives(run) and (repeated or abandoned(run)):
                end(client, str(run.info.run_id), owner)
        others = [run for run in others if run.data.tags.get(keys.TAG_LEASE_TOKEN) != token]
        refusal = _refusal(others)
        undecided = [str(run.info.run_id) for run in others if _lives(run) and not abandoned(run)]
        if refusal is None and undecided and min(undecided) < run_id:
            refusal = Refusal("busy", min(undecided))
        if refusal:
            withdraw(client, run_id)
            return refusal
        if not undecided:
            client.set_tag(run_id, keys.TAG_LEASE_STATE, _HELD)
            return Lease(client, run_id, experiment, owner, lease_s)
        time.sleep(_PAUSE_S)


def abandoned(run: Run) -> bool:
    """Whether the run's owner has gone without a word: its process has ended, or its lease has."""
    return bool(is_gone(run.data.tags.get(keys.TAG_OWNER, ""))) or _is_silent(run)


def reap(client: Any, experiment: str, reason: str = ABANDONED) -> list[Run]:
    """End every run of ours that was abandoned.

    A claimed one is KILLED, which leaves its configuration open; any other one is FAILED, with what was seen of its
    owner.

    Args:
        reason: what is known of the end of claimed runs.

    Returns:
        The runs that were ended, as they were found.
    """
    return _end_all(client, [experiment], abandoned, reason)


def end_lost(client: Any, experiments: Sequence[str]) -> list[Run]:
    """What :func:`reap` does, for whoever uses the store next.

    A claimed run is left to its sweep, which may know more of its end, until its lease is over. A store that does not
    let runs be ended is used all the same.
    """

    def lost(run: Run) -> bool:
        return _is_silent(run) if keys.TAG_LEASE_STATE in run.data.tags else abandoned(run)

    try:
        return _end_all(client, experiments, lost, ABANDONED)
    except (MlflowException, TrackingError) as error:
        _log.warning("runs whose process has gone cannot be ended: %s", masked(error).splitlines()[0])
        return []


def _end_all(client: Any, experiments: Sequence[str], lost: Callable[[Run], bool], reason: str) -> list[Run]:
    ended = []
    for run in _running(client, experiments):
        run_id, tags = str(run.info.run_id), run.data.tags
        if not lost(run) or spool.waits(run_id):  # results that wait here end their run when they are delivered
            continue
        # Its owner may have ended it, and itself, since it was found running; by now it has said its last word.
        now = client.get_run(run_id)
        if now.info.status != "RUNNING" or not lost(now):
            continue
        if keys.TAG_LEASE_STATE in tags:
            end(client, run_id, this_process(), reason)
        else:
            end(client, run_id, this_process(), _obituary(tags[keys.TAG_OWNER]), status="FAILED")
        ended.append(run)
    return ended


def _running(client: Any, experiments: Sequence[str]) -> list[Run]:
    """Running runs of ours.

    A database reads the status of a hundred thousand runs in 20 ms, but takes ten times as long to find those with a
    tag, which is therefore left to it only where others have many running.
    """
    if not experiments:
        return []
    wanted = "attributes.status = 'RUNNING'"
    found = client.search_runs(list(experiments), wanted, ViewType.ACTIVE_ONLY, _FEW)
    if found.token:
        found = _search(client, experiments, f"{wanted} AND tags.`{keys.TAG_OWNER}` LIKE '%'")
    return [run for run in found if keys.TAG_OWNER in run.data.tags]


def _obituary(owner: str) -> str:
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return TrackingError(
        ABANDONED,
        where=f"owner {owner}, looked for on {now}: {end_of(owner)}",
        rule="a process writes how its run ends; SIGKILL, a kernel out of memory and a loss of power leave no time",
        fix="start it again; with checkpoint_steps a fine-tune goes on from its newest checkpoint",
    ).one_line()


def _is_silent(run: Run) -> bool:
    return float(run.data.tags.get(keys.TAG_LEASE_UNTIL, "inf")) < time.time()


def end(client: Any, run_id: str, reaper: str, reason: str = ABANDONED, status: str = "KILLED") -> None:
    """End somebody else's run: the tags first, so that its owner, should it wake up, sees them."""
    client.log_batch(run_id, tags=[RunTag(keys.TAG_REAPED, reaper), RunTag(keys.TAG_FAILURE, reason)])
    client.set_terminated(run_id, status)


def forgive(client: Any, run_id: str) -> None:
    """Take the reason away from a run that nobody else could have taken over and that ended well after all.

    The clock of its machine may have been set so far that its process seemed to be another one.
    """
    tags = client.get_run(run_id).data.tags
    for tag in (keys.TAG_REAPED, keys.TAG_FAILURE):
        if keys.TAG_REAPED in tags and tag in tags:
            client.delete_tag(run_id, tag)


def withdraw(client: Any, run_id: str) -> None:
    """Delete a claim that was not needed: nothing was trained under it."""
    client.set_terminated(run_id, "KILLED")
    client.delete_run(run_id)


def _refusal(runs: Sequence[Run]) -> Refusal | None:
    """Done, held by a living owner, or neither."""
    for run in runs:
        tags = run.data.tags
        if run.info.status == "FINISHED" and tags.get(keys.TAG_COMPLETE) == "true":
            return Refusal("done", str(run.info.run_id))
    for run in runs:
        if _lives(run) and run.data.tags.get(keys.TAG_LEASE_STATE) == _HELD and not abandoned(run):
            return Refusal("busy", str(run.info.run_id))
    return None


def _lives(run: Run) -> bool:
    return run.info.status == "RUNNING" and keys.TAG_LEASE_STATE in run.data.tags


def _runs_of(client: Any, experiment: str, config_hash: str) -> list[Run]:
    wanted = f"tags.`{keys.TAG_CONFIG_HASH}` = '{config_hash}' AND tags.`{keys.TAG_KIND}` = '{keys.KIND_FINETUNE}'"
    return _search(client, [experiment], wanted)


def _search(client: Any, experiments: Sequence[str], wanted: str) -> list[Run]:
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(list(experiments), wanted, ViewType.ACTIVE_ONLY, _MANY, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _deadline(lease_s: float) -> str:
    return f"{time.time() + lease_s:.0f}"
