"""Probes candidate datasets and ranks them by the score that a fine-tune on each is predicted to reach."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.predict import PredictConfig
from predictor.progress import Progress

CONFIG = PredictConfig


def run(config: PredictConfig, progress: Progress) -> None:
    from predictor.flows.predict import rank_candidates

    result = rank_candidates(config, progress)
    print(f"by {result.predictor.name} version {result.predictor.version}, target {result.predictor.bundle.target.key}")
    for row in result.ranking.itertuples():
        if row.error:
            print(f"{row.rank:>3}. {row.candidate}: not ranked, {row.error}")
            continue
        print(
            f"{row.rank:>3}. {row.candidate}: {row.prediction:.3f} (90 % interval {row.lower:.3f} to {row.upper:.3f})"
        )
        if (lost := getattr(row, "forgetting", None)) is not None and lost == lost:
            mark = "; on the Pareto front" if row.pareto else ""
            span = f"({100 * row.forgetting_lower:+.1f} to {100 * row.forgetting_upper:+.1f})"
            print(f"       forgets {100 * lost:+.1f} points {span}{mark}")
        prices = [(row.probe_s, "probed in {:.0f} s"), (row.full_s, "a full fine-tune would take about {:.0f} s")]
        known = [text.format(seconds) for seconds, text in prices if seconds == seconds]
        print("       " + "; ".join([row.advice, *known]))
        for reason in row.reasons.split("; ") if row.reasons else []:
            print(f"       {reason}")
        if row.unusual:
            print(f"       caution: unlike the runs it learnt from, first of all in {row.unusual_feature}")
    print(f"run {result.run_id}: ranking.csv")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
