"""The story of a predictor: read the runs, build the table, validate, tune, explain, register."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from predictor.config import check, param, split_list
from predictor.progress import SILENT, Progress
from predictor.schema import keys
from predictor.schema.targets import DIRECTIONS

if TYPE_CHECKING:
    from predictor.meta.train import Trained
    from predictor.meta.validate import Validation
    from predictor.table import Table
    from predictor.tracking import TrackedRun


@dataclass(frozen=True)
class MetaConfig:
    """What a predictor is trained on, and how much work goes into it."""

    target: str = param("score/exact_match", "what is predicted: score/<name>, or a column of table")
    unit: str = param(
        "",
        "unit of a target that no task declares: fraction (0 to 1), points, nats, seconds, …; empty for a plain number "
        "in a column of table",
    )
    direction: str = param(
        "",
        "higher or lower: which is better, of a target that no task declares; empty means higher",
        choices=DIRECTIONS,
    )
    experiments: str = param("", "MLflow experiments whose runs teach, separated by commas; empty reads all")
    parent: str = param("", "id of a run; only its child runs teach; empty takes runs of any parent")
    table: str = param("", "a .csv or .parquet file with one fine-tune a row, instead of the tracking store")
    group: str = param(
        "", "columns of table that are held out together, separated by commas; the first is the headline"
    )
    features: str = param("", "regular expression of the columns of table that are features; empty takes all")
    exclude: str = param(
        "", "regular expression of the columns of table that are none (all that is known only afterwards)"
    )
    rank_within: str = param("", "column of table that names the evaluation; rows are ranked within it")
    split: str = param(
        "group,random,family",
        "validations: group (leave one group out), random, family (leave one family out, where the families of all "
        "datasets are known), lolo (each group column in turn)",
        entries=("group", "random", "family", "lolo"),
    )
    average_seeds: bool = param(True, "one row for the seeds of a configuration, averaged; false keeps each run")
    n_trials: int = param(0, "Optuna trials of the final tuning; 0 chooses by the number of rows", least=0, most=10_000)
    seed: int = param(0, "seeds the splits, the tuning and the boosters", least=0)
    threads: int = param(1, "threads of LightGBM", least=1)
    model_name: str = param(
        keys.MODEL_NAME,
        "name under which the predictor is registered (of score/forgetting: forgetting-predictor); empty registers "
        "nothing",
    )


@dataclass(frozen=True)
class MetaResult:
    """What came of it.

    Attributes:
        version: number of the registered version, 0 when nothing was registered. model_name: under which name.
        run_id: the run that holds the figures.
        summary: lines for a person.
    """

    version: int
    model_name: str
    run_id: str
    trained: Trained
    table: Table
    summary: tuple[str, ...]


def train_predictor(
    config: MetaConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> MetaResult:
    """Train a predictor, record it as a run of kind `meta` with a child run for each validation, and register it.

    Raises:
        ConfigError: a target that no task declares and of which nothing is said.
        TableError: nothing to learn from, with what was skipped and why. TrackingError, RegistryError: MLflow's stores.
    """
    from predictor.evaluation.second import registered_as
    from predictor.meta.known import known_features
    from predictor.meta.train import train
    from predictor.registry import register
    from predictor.report.logged import metrics, version_tags
    from predictor.report.meta_report import write_figures
    from predictor.report.summary import summary
    from predictor.tracking import tracked_run

    check(config)
    with tracked_run(
        keys.KIND_META,
        experiment=experiment,
        tracking_uri=tracking_uri,
        run_name=f"predictor of {config.target}",
        params={f"{keys.META}{name}": str(value) for name, value in asdict(config).items()},
    ) as run:
        progress.stage("read the runs")
        table = _table(config, progress)
        progress.note(
            f"{len(table)} rows, {len(set(map(str, table.group)))} groups, {len(table.schema.columns)} features"
        )
        progress.stage("train the predictor")
        tiers, meanings = known_features(table.schema.names)
        trained = train(
            table,
            splits=split_list(config.split),
            trials=config.n_trials,
            tiers=tiers,
            meanings=meanings,
            seed=config.seed,
            threads=config.threads,
            on_step=lambda text: progress.advance(1, doing=text),
        )
        for validation in trained.validations.values():
            _child(validation, run)
        progress.stage("explain")
        write_figures(run.artifacts, table, trained)
        lines = summary(
            table,
            trained.validations,
            trained.bundle.main.interval,
            trained.permuted_r2,
            trained.importance,
            trained.steps,
            trained.tiers,
            trained.growth.rmse_after(50) if trained.growth else None,
            trained.headline.split,
        )
        (run.artifacts / "summary.txt").write_text("\n".join([*lines, ""]))
        tags = version_tags(table, trained)
        version, name = 0, registered_as(config.model_name, config.target)
        if name:
            progress.stage("register")
            version = register(
                trained.bundle,
                run.run_id,
                table.rows.head(3),
                name=name,
                training_runs=[run_id for unit in table.run_ids for run_id in unit],
                tags=tags,
            )
        run.finish(metrics=metrics(table, trained), tags={keys.TAG_TABLE_DIGEST: table.digest})
        return MetaResult(version, name, run.run_id, trained, table, tuple(lines))


def _table(config: MetaConfig, progress: Progress) -> Table:
    import predictor.evaluation.targets  # noqa: F401 - declares what evaluations write back
    from predictor import tracking
    from predictor.schema.targets import target_of
    from predictor.table import build, from_file
    from predictor.tracking.row_hashes import read_row_hashes

    if config.table:
        return from_file(
            config.table,
            config.target,
            config.group,
            config.features,
            config.exclude,
            config.rank_within,
            unit=config.unit,
            direction=config.direction,
        )
    target = target_of(config.target, unit=config.unit, direction=config.direction)
    records = tracking.read_records(split_list(config.experiments) or None, parent=config.parent or None)
    source = f"experiments {config.experiments}" if config.experiments else "all experiments of the tracking store"
    row_hashes, without = read_row_hashes(records)
    if without:
        progress.note(
            f"{len(without)} large datasets, such as {without[0]}, have no row hashes among the artifacts of their "
            "runs: datasets that share rows with them may be missed"
        )
    return build(records, target, average_seeds=config.average_seeds, source=source, row_hashes=row_hashes)


def _child(validation: Validation, parent: TrackedRun) -> None:
    """A run of its own for each validation, and for each baseline within it: the UI compares runs."""
    from predictor.report.logged import finite
    from predictor.tracking import tracked_run

    with tracked_run(keys.KIND_META, run_name=f"validation {validation.split}") as child:
        child.finish(metrics=finite({f"{keys.VALIDATION}{name}": value for name, value in validation.metrics.items()}))
    for name, metrics in validation.baselines.items():
        with tracked_run(keys.KIND_META, run_name=f"{validation.split} baseline {name}") as child:
            child.finish(metrics=finite({f"{keys.VALIDATION}{metric}": value for metric, value in metrics.items()}))
