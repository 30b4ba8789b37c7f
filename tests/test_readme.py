"""What the documentation tells people to type: every name in it exists, and what costs little is really run."""

from __future__ import annotations

import ast
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import predictor
from benchmarks.tiny import qa_rows, write_squad
from entrypoints import _mlproject
from predictor.config import from_strings
from predictor.config.sections import sections_of
from predictor.registry import Predictor
from predictor.schema.archive import read_archive, write_archive
from predictor.sweep import read_plan
from predictor.trial.config import FinetuneConfig, finetune_config
from tests.documented import PAGES, ROOT, Command, blocks, commands, fault, page

COMMANDS = [command for name in PAGES for command in commands(page(name), name)]


def shown(verb: str, name: str = "README.md") -> Command:
    """The first command of a page that starts this entry point and gives it parameters or shows its output."""
    of_page = [command for command in COMMANDS if command.place.startswith(name + ":")]
    return next(c for c in of_page if c.verb == verb and (c.parameters or c.output))


def test_commands_are_found_in_blocks_and_in_lines():
    text = """\
Type `make test` or
`mlflow run .
-e probe`, not `make`, under `mlflow run`.

```
mlflow run . -e finetune \\
    -P seed=2  # why
score 1
.venv/bin/mlflow ui
```

```
$ A=1 python -m entrypoints.probe --dataset x
error: no
  fix: yes
$ make check
```

```python
make = 1
```
"""
    found = commands(text, "a.md")
    assert [(c.place, c.words, c.output) for c in found] == [
        ("a.md:1", ["make", "test"], ""),
        ("a.md:2", ["mlflow", "run", ".", "-e", "probe"], ""),
        ("a.md:6", ["mlflow", "run", ".", "-e", "finetune", "-P", "seed=2"], ""),
        ("a.md:9", ["mlflow", "ui"], ""),
        ("a.md:13", ["python", "-m", "entrypoints.probe", "--dataset", "x"], "error: no\n  fix: yes\n"),
        ("a.md:16", ["make", "check"], ""),
    ]
    assert [(c.verb, c.parameters) for c in found if c.verb] == [
        ("probe", {}),
        ("finetune", {"seed": "2"}),
        ("probe", {"dataset": "x"}),
    ]
    assert blocks(text, "python") == ["make = 1\n"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mlflow run . -e prob", "no entry point prob"),
        ("mlflow run . -e probe -P datset=x", "unknown parameter 'datset'"),
        ("mlflow run . -e finetune -P batch_size=many", "batch_size='many' is not a whole number"),
        ("mlflow run . -e finetune -P lora_dropout=2", "lora_dropout=2 is out of range"),
        ("mlflow run . --env-manger local", "No such option '--env-manger'"),
        ("mlflow run . --env-manager locl", "Invalid value for `env_manager`: locl"),
        ("mlflow modls serve", "mlflow has no command modls"),
        ("python -m entrypoints.prob", "no module entrypoints.prob"),
        ("python -m benchmarks.nothing", "no module benchmarks.nothing"),
        ("python -m pytest tests/nothing.py", "no file tests/nothing.py"),
        ("python setup.py", "python runs modules here"),
        ("make nothing", "no target nothing"),
    ],
)
def test_a_command_that_cannot_work_is_told(text: str, reason: str):
    assert reason in (fault(Command("a.md:1", text)) or "")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.place)
def test_every_name_in_a_command_exists_and_every_value_has_its_type(command: Command):
    wrong = fault(command)
    assert wrong is None or command.output.startswith(f"error: {wrong}"), command.text


def test_every_entry_point_is_shown():
    assert {command.verb for command in COMMANDS} >= set(_mlproject.VERBS)


def test_the_calls_in_python_exist():
    calls = [n for text in blocks(page("README.md"), "python") for n in ast.walk(ast.parse(text))]
    calls = [(n.func.value, n) for n in calls if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    found = set()
    for owner, call in calls:
        if isinstance(owner, ast.Name) and owner.id in ("predictor", "model"):
            function = getattr(predictor if owner.id == "predictor" else Predictor, call.func.attr)
            arguments = [*([None] if owner.id == "model" else []), *call.args]
            inspect.signature(function).bind(*arguments, **{keyword.arg: None for keyword in call.keywords})
            found.add(call.func.attr)
    assert found == {"load", "rank", "predict"}


@pytest.mark.parametrize("name", ["README.md", "docs/sweeps.md"])
def test_the_plans_can_be_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").touch()
    plans = blocks(page(name), "yaml")
    assert plans
    for text in plans:
        (tmp_path / "plan.yaml").write_text(text)
        assert len(read_plan("plan.yaml").datasets) >= 3


def test_the_configuration_in_sections_can_be_read(tmp_path: Path):
    [text] = blocks(page("docs/configuration.md"), "yaml")
    (tmp_path / "my.yaml").write_text(text)
    config = from_strings(FinetuneConfig, {"config": str(tmp_path / "my.yaml"), "seed": "2"})
    assert config.replace(seed=1) == finetune_config(
        dataset="train.json", eval_dataset="eval.json", eval_limit=200, lora_r=16, lora_alpha=32, learning_rate=3e-3,
        batch_size=16, epochs=1, tiers="static,forward,train",
    )  # fmt: skip
    for section in sections_of(FinetuneConfig):
        assert f"| `{section}` |" in page("docs/configuration.md")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The project's folder with a store of its own and the files that the commands name."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("MLproject", "conda.yaml", "entrypoints", "predictor"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copy(empty_store, folder / "mlflow.db")
    for name in ("anything.json", "candidate.json", "data.json"):
        write_squad(folder / name, qa_rows(40))
    return folder


def _run(project: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    """The command in the project's folder, by the programs beside this Python."""
    folder = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([folder, os.environ["PATH"]]),
        "MLFLOW_TRACKING_URI": f"sqlite:///{project}/mlflow.db",
        "PREDICTOR_CACHE": str(project / "cache"),
        "HF_HOME": str(project / "cache" / "hf"),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("MLFLOW_RUN_ID", None)
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, timeout=300)


def _direct(command: Command) -> list[str]:
    """The same without MLflow's launcher, which costs three seconds."""
    flags = [word for name, value in command.parameters.items() for word in (f"--{name}", value)]
    return [sys.executable, "-m", _mlproject.module_of(command.verb or ""), *flags]


def test_prepare_as_it_is_written(project: Path):
    command = shown("prepare")
    done = _run(project, command.words)
    assert done.returncode == 0, done.stderr
    output = project / command.parameters["output"]
    rows = [len((output / f"{split}.jsonl").read_text().splitlines()) for split in ("train", "validation")]
    assert (sum(rows), min(rows) > 0) == (40, True)
    assert "rows      40 = 40 accepted + 0 refused" in done.stdout


def test_the_static_tier_of_the_probe_as_it_is_written(project: Path):
    command = shown("probe")
    tiers = f"tiers={command.parameters['tiers']}"
    done = _run(project, ["tiers=static" if word == tiers else word for word in command.words])
    assert done.returncode == 0, done.stderr
    assert "probe/dataset_size" in done.stdout
    assert "tiers static" in done.stdout


def test_import_runs_ends_with_the_lines_that_are_shown(project: Path):
    """Shown for the runs of the package; a few of them stand for all here."""
    command, few = shown("import-runs"), 8
    archive = read_archive(ROOT / "predictor" / "runs" / "lab.parquet")
    write_archive(project / "few.parquet", archive.records[:few], archive.configs[:few], archive.about)
    done = _run(project, [*_direct(command), "--file", "few.parquet"])
    assert done.returncode == 0, done.stderr
    assert done.stdout == command.output.replace(str(len(archive.records)), str(few), 1)
    assert done.stdout != command.output


def test_convert_and_lab_as_their_pages_say(project: Path):
    convert, lab = shown("convert", "docs/data.md"), shown("lab", "docs/lab.md")
    done = _run(project, _direct(convert))
    assert done.returncode == 0, done.stderr
    [first, *_] = (project / convert.parameters["output"]).read_text().splitlines()
    assert set(json.loads(first)) >= {convert.parameters["to"]}
    done = _run(project, _direct(lab))
    assert done.returncode == 0, done.stderr
    written = project / done.stdout.strip()
    assert written.is_relative_to(project / lab.parameters["output"])
    assert json.loads(written.read_text())["data"]


def test_a_fault_ends_in_the_message_that_is_shown(project: Path):
    command = next(c for c in COMMANDS if c.output.startswith("error:"))
    done = _run(project, [sys.executable, *command.words[1:]])
    assert done.returncode == 1
    assert done.stdout + done.stderr == command.output


def test_the_evaluate_module_answers_as_the_readme_calls_it(project: Path):
    [call] = [text for text in blocks(page("README.md"), "python") if "evaluate.load" in text]
    predictions = [{"id": "1", "prediction_text": "The cat."}]
    references = [{"id": "1", "answers": {"text": ["cat"], "answer_start": [0]}}]
    for name, rows in (("predictions", predictions), ("references", references)):
        assert f"{name}=[...]" in call
        call = call.replace(f"{name}=[...]", f"{name}={rows}")
    done = _run(project, [sys.executable, "-c", f"import evaluate\nprint({call.strip()})"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'exact_match': 100.0, 'f1': 100.0}"
