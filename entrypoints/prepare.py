"""Any dataset file in, every row accounted for: validated, checked, split and written in one canonical form."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.prepare import PrepareConfig
from predictor.progress import Progress

CONFIG = PrepareConfig


def run(config: PrepareConfig, progress: Progress) -> None:
    from predictor.flows.prepare import prepare

    report = prepare(config, progress).report
    print(f"format    {report['format']} ({report['format_reason']})")
    print(f"rows      {report['rows']} = {report['accepted']} accepted + {report['rejected']} refused")
    for code, count in report["rejected_by_code"].items():
        print(f"refused   {count} {code}")
    for note in report["notes"]:
        print(f"note      {note}")
    if tokens := (report["preflight"] or {}).get("tokens"):
        print(
            f"tokens    {tokens['seen']} in one epoch, {tokens['learnt']} of them learnt; longest row "
            f"{tokens['total'].get('max', 0)} ({config.base_model})"
        )
        if tokens["max_length"]:
            print(
                f"too long  {tokens['over']} rows exceed max_length={tokens['max_length']}: a fine-tune leaves them out"
            )
        if tokens["refused_by_template"]:
            print(f"refused   {tokens['refused_by_template']} rows by the base model's chat template")
    for name, rows in report["outputs"].items():
        print(f"written   {config.output.rstrip('/')}/{name}: {rows} rows")
    print(f"report    {config.output.rstrip('/')}/report.html")
    parts = list(report["outputs"])
    if config.task != "auto" and len(parts) > 1:
        train, evaluation = (f"{config.output.rstrip('/')}/{name}" for name in parts[:2])
        print(
            f"next      mlflow run . -e finetune -P task={config.task} -P dataset={train} -P eval_dataset={evaluation}"
        )


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
