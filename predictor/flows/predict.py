"""The story of a ranking: probe the candidates, load the registered predictor, put them in order."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from predictor.config import WITHOUT_EFFECT, FinetuneConfig, Hyperparameters, check, param, split_list
from predictor.errors import ConfigError, PredictorError
from predictor.progress import SILENT, Progress
from predictor.schema import keys

if TYPE_CHECKING:
    import pandas as pd

    from predictor.registry import Predictor
    from predictor.schema import RunRecord


def _as_in_finetune(name: str) -> Any:
    """The field of a fine-tune's configuration: a probe is the beginning of a fine-tune."""
    field = FinetuneConfig.__dataclass_fields__[name]
    return dataclasses.field(default=field.default, metadata=field.metadata)


@dataclass(frozen=True)
class PredictConfig(Hyperparameters):
    """Which datasets are ranked, by which predictor, and how each is probed."""

    candidates: str = param("", "datasets to rank, separated by commas")
    grid: str = param("", "a .json file of hyperparameter lists; each combination is ranked with each candidate")
    stage: str = param(keys.STAGE_PRODUCTION, "stage of the predictor", choices=keys.STAGES)
    version: int = param(0, "number of the predictor's version; 0 takes the one in stage", least=0)
    model_name: str = param(keys.MODEL_NAME, "name of the registered predictor")
    eval_dataset: str = _as_in_finetune("eval_dataset")
    task: str = _as_in_finetune("task")
    base_model: str = _as_in_finetune("base_model")
    train_limit: int = _as_in_finetune("train_limit")
    eval_limit: int = _as_in_finetune("eval_limit")
    dev_limit: int = _as_in_finetune("dev_limit")
    seed: int = _as_in_finetune("seed")
    probe_steps: int = _as_in_finetune("probe_steps")
    tiers: str = _as_in_finetune("tiers")

    def probe_config(self, candidate: str, **hp: Any) -> FinetuneConfig:
        """The fine-tune of a candidate that the probe is the beginning of; `hp` overrides hyperparameters."""
        names = {field.name for field in dataclasses.fields(FinetuneConfig)} - {"dataset", *WITHOUT_EFFECT}
        return FinetuneConfig(dataset=candidate, **{**{name: getattr(self, name) for name in names}, **hp})


@dataclass(frozen=True)
class PredictResult:
    """`ranking` as :meth:`predictor.registry.Predictor.rank` gives it; `failed` of `candidates` could not be probed."""

    ranking: pd.DataFrame
    predictor: Predictor
    run_id: str

    @property
    def failed(self) -> int:
        return int((self.ranking["error"] != "").sum())


def rank_candidates(
    config: PredictConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> PredictResult:
    """Rank datasets; each is probed in a child run of kind `probe`, the ranking is an artifact of the parent.

    A candidate that cannot be probed stands at the end of the ranking with its error.

    Raises:
        ConfigError: no candidate is named. RegistryError: no such predictor. PredictorError: every candidate failed.
    """
    from predictor.flows.grid import label, read_grid
    from predictor.flows.probe import probe_dataset
    from predictor.registry import Candidate, from_record, ranking
    from predictor.tracking import tracked_run

    check(config)
    combinations = read_grid(config.grid) if config.grid else [{}]
    candidates = [(name, hp) for name in split_list(config.candidates) for hp in combinations]
    if not candidates:
        raise ConfigError("no candidate is named", where="-P candidates", rule="datasets, separated by commas")
    with tracked_run(
        keys.KIND_PREDICT,
        experiment=experiment,
        tracking_uri=tracking_uri,
        run_name=f"rank {len(candidates)} candidates",
        params={
            f"{keys.PREDICT}{field.name}": str(getattr(config, field.name)) for field in dataclasses.fields(config)
        },
    ) as run:
        # Before any probe is paid for: is there a predictor?
        loaded = load_predictor(
            stage=config.stage, version=config.version or None, name=config.model_name, tracking_uri=tracking_uri
        )
        probed = []
        for source, hp in candidates:
            name = label(source, hp)
            try:
                probed.append(from_record(probe_dataset(config.probe_config(source, **hp), progress), name))
            except PredictorError as error:
                progress.note(f"{name}: {error.one_line()}")
                probed.append(Candidate(name, {}, error=error.one_line()))
        table = ranking(loaded.bundle, probed)
        table.to_csv(run.artifacts / "ranking.csv", index=False)
        (run.artifacts / "ranking.json").write_text(table.to_json(orient="split", index=False))
        failed = [candidate for candidate in probed if candidate.error]
        if len(failed) == len(probed):
            raise PredictorError(
                f"none of {len(probed)} candidates could be probed",
                where="; ".join(f"{candidate.name}: {candidate.error}" for candidate in failed),
                rule="at least one dataset that can be read",
            )
        run.finish(
            metrics={f"{keys.PREDICT}candidates": float(len(probed)), f"{keys.PREDICT}failed": float(len(failed))},
            tags={keys.TAG_MODEL: f"models:/{loaded.name}/{loaded.version}"},
        )
        return PredictResult(table, loaded, run.run_id)


def load_predictor(*, stage: str | None, version: int | None, name: str, tracking_uri: str | None = None) -> Predictor:
    """The registered predictor, with the probe that lets it rank datasets as well as feature rows."""
    from predictor import registry, tracking

    tracking.connect(tracking_uri)
    return registry.load(stage, version=version, name=name, prober=_prober(tracking_uri))


def _prober(tracking_uri: str | None) -> Any:
    def probe(source: str, **settings: Any) -> RunRecord:
        from predictor.flows.probe import probe_dataset

        return probe_dataset(FinetuneConfig(dataset=source, **settings), tracking_uri=tracking_uri)

    return probe
