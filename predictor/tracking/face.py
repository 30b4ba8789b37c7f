"""What a person sees of our runs in the MLflow UI.

The experiment's kind and note, a view that compares its fine-tunes, names and notes of runs. All of it is tags that
nothing of ours depends on. A store that refuses them costs a line in the log, never a run.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from predictor.errors import TrackingError
from predictor.schema import RunRecord, keys
from predictor.tracking.patience import PatientClient
from predictor.tracking.store import connect
from predictor.tracking.view import VIEW_ID, VIEW_NAME, VIEW_TAG, pack, score_names, unpack, view_state

NOTE_TAG = "mlflow.note.content"
NAME_TAG = "mlflow.runName"
KIND_TAG = "mlflow.experimentKind"
MODEL_TRAINING = "custom_model_development"
_PAGE = "http://127.0.0.1:5000"
"""Where `mlflow ui` answers."""
_DRAWN = re.compile(r"[a-z]+-[a-z]+-\d{1,4}")
_HP = (("lora_r", "r"), ("learning_rate", "learning rate"), ("batch_size", "batch"), ("epochs", "epochs"))
_COSTS = (
    ("total_s", "s in all"),
    ("train_s", "s of training"),
    ("train_steps", "optimizer steps"),
    ("train_tokens", "tokens"),
    ("peak_memory_mb", "MB at most"),
)
"""Names in a record, and what a note calls them."""
_log = logging.getLogger(__name__)
_done: set[tuple[str, ...]] = set()
"""What this process has seen to: store, experiment, and for a view its headline."""

EXPERIMENT_NOTE = f"""\
Fine-tunes, and predictors of what a fine-tune will score. \
**[{VIEW_NAME}]({{page}})** (menu *Views*) puts them side by side.

| column | what it holds |
|---|---|
| `{keys.HP}…` | hyperparameters of the fine-tune (Hj) |
| `{keys.PROBE}…` | features: numbers known before the full fine-tune. `{keys.PROBE}early_…` is the score after \
the first optimizer steps, `{keys.PROBE}zero_shot_…` the one before them, both on questions set aside |
| `{keys.SCORE}…` | quality after the fine-tune, on `{keys.SCORE_N}` questions; `…{keys.SE}` is the standard error |
| `{keys.PREDICTED}…` | the score that was predicted before a fine-tune of a ranked candidate |
| `{keys.COST}…` | seconds (`_s`), megabytes (`_mb`), tokens |
| `{keys.TRAIN}…`, `{keys.EVAL}…` | curves by optimizer step |
| `{keys.TAG_KIND}` | what the run is: a `{keys.KIND_FINETUNE}`, `{keys.KIND_PROBE}`, `{keys.KIND_META}` (a \
predictor), `{keys.KIND_PREDICT}` (a ranking), `{keys.KIND_EVALUATION}` (what a fine-tune \
learnt and forgot), `{keys.KIND_SWEEP}`, … |
| `{keys.TAG_PARENT}` | the sweep or quickstart that a fine-tune belongs to |
"""


def dress(client: Any, experiment: str) -> None:
    """Make an experiment open as model training, with a note on its columns. Once for each process and experiment.

    What a person has chosen or written stays.
    """

    def tags_of_experiment(client: Any) -> None:
        tags = client.get_experiment(experiment).tags
        chosen = tags.get(KIND_TAG, "")
        if not chosen or "inferred" in chosen:  # the page writes its own guesses into the tag
            client.set_experiment_tag(experiment, KIND_TAG, MODEL_TRAINING)
        if not tags.get(NOTE_TAG):
            client.set_experiment_tag(experiment, NOTE_TAG, EXPERIMENT_NOTE.format(page=_page_of(experiment)))

    _once(client, tags_of_experiment, experiment)


def show(client: Any, experiment: str, record: RunRecord) -> None:
    """Save the view that compares fine-tunes such as this one, unless the experiment has it.

    Once for each process, experiment and headline of a task: with several tasks in one experiment, the view is that of
    the last.
    """
    if record.kind != keys.KIND_FINETUNE or not score_names(record):
        return

    def view_of_experiment(client: Any) -> None:
        state = view_state(record)
        before = client.get_experiment(experiment).tags.get(VIEW_TAG)
        if before is None or not _same(before, state):
            client.set_experiment_tag(experiment, VIEW_TAG, pack(state, int(time.time() * 1000)))

    _once(client, view_of_experiment, experiment, score_names(record)[0])


def note(record: RunRecord) -> str:
    """Three lines on a fine-tune: what it was, what came of it, what it cost."""
    headline = score_names(record)[0]
    setting = ", ".join([record.method, *(f"{words} {record.hp[name]}" for name, words in _HP if name in record.hp)])
    rows = f" ({record.probe['dataset_size']:.0f} rows)" if "dataset_size" in record.probe else ""
    result = ", ".join(_with_error(record, name) for name in score_names(record))
    early = f"early_{headline}"
    known = f"; {record.probe[early]:.3g} after the first steps" if early in record.probe else ""
    costs = record.costs
    cost = ", ".join(f"{costs[name]:,.0f} {words}".replace(",", " ") for name, words in _COSTS if name in costs)
    lines = [
        f"**What:** `{record.base_model}` on `{record.dataset}`{rows}, {setting}, seed {record.seed}",
        f"**Result:** {result} on {record.scores.get('n', 0):.0f} questions{known}",
        f"**Cost:** {cost or 'not recorded'}",
    ]
    return "  \n".join(lines)


def noted(record: RunRecord, tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a record that is complete, with its note when it is a fine-tune."""
    if record.kind != keys.KIND_FINETUNE or not score_names(record):
        return dict(tags)
    try:
        return {**tags, NOTE_TAG: note(record)}
    except Exception as error:  # a plug-in's values may be of any kind, and no note is worth a run
        _log.debug("run without a note: %s", error)
        return dict(tags)


def name_run(client: Any, run_id: str, name: str) -> None:
    """Give a run this name unless a person has named it. At once: a run may last for hours before its next write."""
    try:
        if drawn_by_mlflow(client.get_run(run_id).info.run_name or ""):
            client.set_tag(run_id, NAME_TAG, name)
    except (TrackingError, MlflowException) as error:
        _log.debug("run %s keeps its name: %s", run_id, error)


def drawn_by_mlflow(name: str) -> bool:
    """Whether a run's name is one that MLflow drew, such as spiffy-elk-224, because nobody gave it any."""
    if not _DRAWN.fullmatch(name):
        return False
    try:
        from mlflow.utils.name_utils import _GENERATOR_NOUNS, _GENERATOR_PREDICATES
    except ImportError:  # private lists: without them the name stays
        return False
    first, second, _ = name.split("-")
    return first in _GENERATOR_PREDICATES and second in _GENERATOR_NOUNS


def where_to_look(run_id: str, tracking_uri: str | None = None) -> list[str]:
    """Lines for a person whose run has ended: the address of the view in its experiment.

    And how to open the page where the store has no server. Nothing when the store does not say.
    """
    try:
        uri = connect(tracking_uri)
        experiment = MlflowClient(uri).get_run(run_id).info.experiment_id
    except (TrackingError, MlflowException) as error:
        _log.debug("no address of run %s: %s", run_id, error)
        return []
    server = uri.startswith("http")
    page = uri.rstrip("/") if server else _PAGE
    lines = [f"compare the fine-tunes: {page}/{_page_of(experiment)}"]
    return lines if server else [*lines, f"  served by: mlflow ui --backend-store-uri {uri} --host 127.0.0.1"]


def _page_of(experiment: str) -> str:
    """The view's address within a server.

    The switch between GenAI and model training is part of it: without that, the
    page takes what the browser remembers, GenAI at first, whatever the experiment's tag says.
    """
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW_ID}"


def _with_error(record: RunRecord, name: str) -> str:
    error = record.scores.get(name + keys.SE)
    return f"{name} {record.scores[name]:.3g}" + (f" ± {error:.2g}" if error is not None else "")


def _same(value: str, state: dict[str, Any]) -> bool:
    try:
        return unpack(value) == state
    except ValueError:
        return False


def _once(client: Any, action: Callable[[Any], None], *what: str) -> None:
    """Do it unless this process has. What fails is tried again by the next run: nobody waits here for a store."""
    uri = str(client.tracking_uri)
    done = (uri, *what)
    if done in _done:
        return
    try:
        action(PatientClient(MlflowClient(uri), patience_s=0.0))
        _done.add(done)
    except Exception as error:  # each store has its own family of faults, and no look is worth a run
        _log.debug("the page of experiment %s stays as it is: %s", what[0], error)
