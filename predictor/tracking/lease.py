"""Who trains a configuration: a claim that at most one owner wins, and that a stalled owner loses.

MLflow has no compare-and-set. What it has is enough: a run once created is seen by every later read. A claimant creates
its run first (`claimed`) and reads afterwards. It withdraws when it sees a claim that is `held`, or an undecided one
with a smaller run id, and waits while an undecided claim with a larger id is in sight, since its owner may have read
before this run existed and be about to hold. Only then does it hold. Of two claimants the later reader sees the other's
run, so both can never hold. A claimant that dies undecided is ended by the reaper, and nobody waits for it for ever.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Run, RunTag, ViewType

from predictor.errors import LeaseLost
from predictor.schema import keys
from predictor.tracking.owner import is_gone, this_process

LEASE_S = 300.0
"""Seconds of silence after which the owner of a run on another host counts as gone."""
ABANDONED = keys.FAILURE_ABANDONED
"""How the failure of a run begins whose process died by its own fault; the signal follows."""
_PAUSE_S = 0.05
_TAG_TOKEN = "predictor.lease.token"
_CLAIMED, _HELD = "claimed", "held"
_MANY = 1000


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
        _TAG_TOKEN: token,
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
            repeated = run.data.tags.get(_TAG_TOKEN) == token  # the store had made a run and its answer was lost
            if _lives(run) and (repeated or abandoned(run)):
                end(client, str(run.info.run_id), owner)
        others = [run for run in others if run.data.tags.get(_TAG_TOKEN) != token]
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
    gone = is_gone(run.data.tags.get(keys.TAG_OWNER, ""))
    until = float(run.data.tags.get(keys.TAG_LEASE_UNTIL, "inf"))
    return bool(gone) or until < time.time()


def reap(client: Any, experiment: str, reason: str = ABANDONED) -> list[Run]:
    """End every run of ours that was abandoned: KILLED, with the reason in a tag.

    Args:
        reason: what is known of their end.

    Returns:
        The runs that were ended, as they were found.
    """
    found = _search(client, experiment, f"attributes.status = 'RUNNING' AND tags.`{keys.TAG_OWNER}` LIKE '%'")
    ended = [run for run in found if abandoned(run)]
    for run in ended:
        end(client, str(run.info.run_id), this_process(), reason)
    return ended


def end(client: Any, run_id: str, reaper: str, reason: str = ABANDONED) -> None:
    """End somebody else's run: the tags first, so that its owner, should it wake up, sees them."""
    client.log_batch(run_id, tags=[RunTag(keys.TAG_REAPED, reaper), RunTag(keys.TAG_FAILURE, reason)])
    client.set_terminated(run_id, "KILLED")


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
    return _search(client, experiment, wanted)


def _search(client: Any, experiment: str, wanted: str) -> list[Run]:
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], wanted, ViewType.ACTIVE_ONLY, _MANY, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _deadline(lease_s: float) -> str:
    return f"{time.time() + lease_s:.0f}"
