"""The story of a ranking: probe the candidates, load the registered predictor, put them in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from predictor.config import TIERS, Sectioned, check, nested, param, section, split_names
from predictor.errors import ConfigError, PredictorError, RegistryError, in_one_line
from predictor.progress import SILENT, Progress
from predictor.schema import keys
from predictor.trial.config import WITHOUT_EFFECT, FinetuneConfig, finetune_config, hyperparameters_of

if TYPE_CHECKING:
    import pandas as pd

    from predictor.registry import Predictor
    from predictor.schema import RunRecord


@dataclass(frozen=True)
class Ranking:
    """What is ranked, and by which predictor."""

    candidates: str = param(
        "", "datasets to rank, separated by commas; a name with commas in brackets: (mix:0.7:A,0.3:B)"
    )
    grid: str = param(
        "", "a .json or .yaml file of hyperparameter lists; each combination is ranked for each candidate"
    )
    stage: str = param(keys.STAGE_PRODUCTION, "stage of the predictor", choices=keys.STAGES)
    version: int = param(0, "number of the predictor's version; 0 takes the one in stage", least=0)
    model_name: str = param(keys.MODEL_NAME, "name of the registered predictor")
    forgetting_model: str = param(
        keys.FORGETTING_MODEL_NAME,
        "name of a predictor of score/forgetting, shown beside the score where one is in stage; empty shows none",
    )


@dataclass(frozen=True)
class ModelLikeTaught:
    """What candidates would be fine-tunes of."""

    base_model: str = param("", "base model; empty takes that of the runs that taught")


@dataclass(frozen=True)
class EvaluationLikeTaught:
    """What candidates would be scored on."""

    eval_dataset: str = param("", "evaluation data; empty takes that of the runs that taught")
    eval_limit: int = param(
        -1, "questions that are scored; 0 scores all, -1 as many as in the runs that taught", least=-1
    )
    dev_limit: int = param(
        -1, "questions set aside for the zero-shot and early scores; -1 as many as in the runs that taught", least=-1
    )


@dataclass(frozen=True)
class ProbeLikeTaught:
    """What is measured of candidates."""

    probe_steps: int = param(
        0, "optimizer steps that the train tier of the probe watches; 0 as many as in the runs that taught", least=0
    )
    tiers: str = param("", "price tiers of the probe; empty takes those that the predictor reads", entries=TIERS)


_LIKE_TAUGHT: Final = (*keys.LIKE_TAUGHT, "tiers")


@dataclass(frozen=True)
class PredictConfig(Sectioned):
    """Which datasets are ranked, by which predictor, and the fine-tune of each that is probed: a probe is its start."""

    ranking: Ranking = section(Ranking)
    trial: FinetuneConfig = nested(FinetuneConfig, without=("dataset", *WITHOUT_EFFECT, *_LIKE_TAUGHT))
    evaluation: EvaluationLikeTaught = section(EvaluationLikeTaught)
    model: ModelLikeTaught = section(ModelLikeTaught)
    probe: ProbeLikeTaught = section(ProbeLikeTaught)
    task: str = param("", "what doing well means; empty takes that of the runs that taught")

    @property
    def said(self) -> dict[str, Any]:
        """The parameters that somebody chose, by their one name: those whose value is not the default.

        A trial that is made in Python says in this way what the parameters of an entry point say.
        """
        default = PredictConfig()
        usual, usual_trial = default.values(), default.trial.values()
        trial, own = self.trial.values(), self.values()
        chosen = {name: value for name, value in trial.items() if value != usual_trial[name]}
        return chosen | {name: own[name] for name in _LIKE_TAUGHT if own[name] != usual[name]}

    def like(self, taught: Mapping[str, Any]) -> FinetuneConfig:
        """The fine-tune that is probed: what is not said is as in the runs that taught."""
        said = {name: value for name, value in self.said.items() if name in _LIKE_TAUGHT}
        return self.trial.replace(**{**taught, **said})


@dataclass(frozen=True)
class PredictResult:
    """`ranking` as :meth:`predictor.registry.Predictor.rank` gives it; `failed` of `candidates` could not be probed.

    `trial` is the fine-tune whose beginning was probed, of each candidate and with its Hj.
    """

    ranking: pd.DataFrame
    predictor: Predictor
    trial: FinetuneConfig
    run_id: str

    @property
    def failed(self) -> int:
        """How many candidates could not be probed."""
        return int((self.ranking["error"] != "").sum())


def rank_candidates(
    config: PredictConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> PredictResult:
    """Rank datasets; each is probed in a child run of kind `probe`, the ranking is an artifact of the parent.

    A candidate that cannot be probed stands at the end of the ranking with its error, and so does one whose probe is
    unlike those of the runs that taught, for example because the base model has changed under its name. One that is
    unlike them because the user said so is flagged as unusual.

    Raises:
        ConfigError: no candidate is named. RegistryError: no such predictor. PredictorError: every candidate failed.
    """
    from predictor.evaluation.second import with_forgetting
    from predictor.flows.probe import probe_dataset
    from predictor.registry import Candidate, from_probe, ranking
    from predictor.sweep.space import read_grid
    from predictor.tracking import tracked_run

    check(config)
    asked = config.ranking
    known = hyperparameters_of(config.trial.hyperparameters.method.name)
    combinations = read_grid(asked.grid, known) if asked.grid else [{}]
    candidates = [
        (" ".join([source, *(f"{name}={value}" for name, value in hp.items())]), {"dataset": source, **hp})
        for source in split_names(asked.candidates)
        for hp in combinations
    ]
    if not candidates:
        raise ConfigError("no candidate is named", where="-P candidates", rule="datasets, separated by commas")
    with tracked_run(
        keys.KIND_PREDICT,
        experiment=experiment,
        tracking_uri=tracking_uri,
        run_name=f"rank {len(candidates)} candidates",
    ) as run:
        # Before any probe is paid for: is there a predictor?
        loaded = load_predictor(
            stage=asked.stage, version=asked.version or None, name=asked.model_name, tracking_uri=tracking_uri
        )
        forgetting = _of_forgetting(asked, progress, tracking_uri)
        said = config.said
        trial = config.like(loaded.bundle.like_taught(said))
        used = {**config.values(), **{name: trial.values()[name] for name in _LIKE_TAUGHT}}
        run.describe(params={f"{keys.PREDICT}{name}": str(value) for name, value in used.items()})
        probed = []
        for name, values in candidates:
            try:
                record = probe_dataset(trial.replace(**values), progress)
                probed.append(from_probe(loaded.bundle, record, said, name))
            except Exception as error:  # a candidate that takes all memory says nothing of the others
                progress.note(f"{name}: {in_one_line(error)}")
                probed.append(Candidate(name, {}, error=in_one_line(error)))
        table = ranking(loaded.bundle, probed)
        if forgetting is not None:
            sign = loaded.bundle.target.sign
            table = with_forgetting(table, ranking(forgetting.bundle, probed), sign)
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
        return PredictResult(table, loaded, trial, run.run_id)


def _of_forgetting(asked: Ranking, progress: Progress, tracking_uri: str | None) -> Predictor | None:
    """The predictor of forgetting in the stage; None where there is none, which nobody need have."""
    if not asked.forgetting_model:
        return None
    try:
        return load_predictor(stage=asked.stage, version=None, name=asked.forgetting_model, tracking_uri=tracking_uri)
    except RegistryError as error:
        if asked.forgetting_model != keys.FORGETTING_MODEL_NAME:
            progress.note(f"forgetting is not predicted: {error.one_line()}")
        return None


def load_predictor(*, stage: str | None, version: int | None, name: str, tracking_uri: str | None = None) -> Predictor:
    """The registered predictor, with the probe that lets it rank datasets as well as feature rows."""
    from predictor import registry, tracking

    tracking.connect(tracking_uri)
    return registry.load(stage, version=version, name=name, prober=_prober(tracking_uri))


def _prober(tracking_uri: str | None) -> Any:
    def probe(source: str, **settings: Any) -> RunRecord:
        from predictor.flows.probe import probe_dataset

        return probe_dataset(finetune_config(dataset=source, **settings), tracking_uri=tracking_uri)

    return probe
