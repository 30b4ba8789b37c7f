"""The rooms and their doors: who may import whom, and which rooms stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "predictor"

FOUNDATION = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
MAY_IMPORT: dict[str, set[str]] = {
    "config": set(),
    "schema": {"config"},
    "data": {"config"},
    "metrics": set(),
    "tasks": {"config", "schema", "data", "metrics"},
    "probe": {"config", "data", "tasks"},
    "models": {"config", "data", "tasks", "probe"},
    "lab": {"config", "data", "tasks", "models"},
    "finetune": {"config", "models"},
    "trial": {"config", "schema", "data", "tasks", "probe", "models", "lab", "finetune"},
    "runs": set(),
    "evaluation": {"config", "schema", "data", "metrics", "tasks", "probe", "models", "lab"},
    "curriculum": {"config", "schema", "data", "tasks", "trial"},
    "serving": {"config", "schema", "data", "tasks", "probe", "models", "lab", "finetune", "trial"},
    "tracking": {"schema", "data"},
    "server": set(),
    "table": {"config", "schema"},
    "meta": {"config", "schema", "probe", "table"},
    "registry": {"schema", "table", "meta"},
    "report": {"schema", "metrics", "table", "meta", "evaluation"},
    "sweep": {"config", "schema", "data", "table", "probe", "tasks", "models", "finetune", "trial"},
}
"""Room → the rooms that its files may import, at the top or inside functions."""
MAY_IMPORT["flows"] = set(MAY_IMPORT)
TORCH_FREE = [
    "config", "schema", "data", "metrics", "tasks", "probe", "finetune.methods", "finetune.settings", "lab",
    "trial.config", "trial.materials", "trial.identity", "evaluation", "evaluation.result", "evaluation.originals",
    "evaluation.whole", "curriculum", "server", "table", "meta", "report", "sweep",
]  # fmt: skip
MLFLOW_ROOMS = {"tracking", "registry"}
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
"""What flows do not do. A `/` between a folder and a name is no division."""


def _imports(file: Path, *, only_at_import: bool = False) -> set[str]:
    """Modules that a file imports; `only_at_import` leaves out those inside functions and under TYPE_CHECKING."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if only_at_import and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            if only_at_import and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
                found.add(child.module)
                found.update(f"{child.module}.{alias.name}" for alias in child.names)
            visit(child)

    visit(ast.parse(file.read_text(encoding="utf-8")))
    return found


def _rooms(modules: set[str]) -> set[str]:
    parts = {module.split(".")[1] for module in modules if module.startswith("predictor.")}
    return {part for part in parts if part in MAY_IMPORT}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_rooms_below_it(room: str):
    for file in sorted((PACKAGE / room).rglob("*.py")):
        foreign = _rooms(_imports(file)) - {room} - MAY_IMPORT[room]
        assert not foreign, f"{file.relative_to(ROOT)} imports {sorted(foreign)}"


def test_every_room_is_in_the_plan():
    rooms = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()}
    assert rooms == set(MAY_IMPORT)


def test_flows_are_the_verbs():
    from entrypoints._mlproject import VERBS

    files = {file.stem for file in (PACKAGE / "flows").glob("*.py")} - {"__init__"}
    assert files == {verb.replace("-", "_") for verb in VERBS}


def test_flows_compute_nothing():
    for file in (PACKAGE / "flows").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ARITHMETIC):
                raise AssertionError(f"{file.name}:{node.lineno} computes: {ast.unparse(node)}")
        assert not {"math", "statistics", "scipy"} & {m.split(".")[0] for m in _imports(file)}, file.name


def test_no_files_import_each_other_in_a_circle():
    files = {_module(file): file for file in [*PACKAGE.rglob("*.py"), *(ROOT / "entrypoints").glob("*.py")]}
    arrows = {name: {m for m in _imports(file) if m in files and m != name} for name, file in files.items()}
    # A package's own __init__ names its files, and they are reached through it.
    arrows = {n: {m for m in to if not n.startswith(m + ".") and not m.startswith(n + ".")} for n, to in arrows.items()}
    graph = TopologicalSorter(arrows)
    try:
        graph.prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def _module(file: Path) -> str:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def test_the_foundation_stands_on_nothing():
    for name in FOUNDATION:
        imported = {m for m in _imports(PACKAGE / f"{name}.py") if m.startswith("predictor.")}
        assert {m.split(".")[1] for m in imported} <= FOUNDATION, name


def test_mlflow_stays_in_its_rooms():
    for room in set(MAY_IMPORT) - MLFLOW_ROOMS - {"flows"}:
        for file in (PACKAGE / room).rglob("*.py"):
            assert not any(m.split(".")[0] == "mlflow" for m in _imports(file)), file.relative_to(ROOT)


@pytest.mark.parametrize(
    ("folder", "foreign"),
    [
        ("predictor", {"entrypoints", "benchmarks", "tests"}),
        ("entrypoints", {"benchmarks", "tests"}),
        ("benchmarks", {"tests"}),  # what both need stands in benchmarks/
    ],
)
def test_nobody_imports_what_stands_above(folder: str, foreign: set[str]):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for file in files:
        assert not {m.split(".")[0] for m in _imports(file)} & foreign, file.relative_to(ROOT)


def test_flows_and_entry_points_import_nothing_heavy_at_the_top():
    heavy = {"mlflow", "torch", "transformers", "peft", "trl", "datasets", "lightgbm", "shap", "optuna", "pandas"}
    for file in [*(ROOT / "entrypoints").glob("*.py"), PACKAGE / "__init__.py"]:
        assert not {m.split(".")[0] for m in _imports(file, only_at_import=True)} & heavy, file.name


def test_the_torch_free_rooms_load_without_torch_and_the_package_without_mlflow():
    modules = [f"predictor.{room}" for room in TORCH_FREE if room != "registry"]
    code = (
        f"import importlib, sys\n[importlib.import_module(m) for m in {modules!r}]\n"
        "assert 'torch' not in sys.modules, 'torch'\n"
        "assert 'transformers' not in sys.modules, 'transformers'\n"
        "assert 'mlflow' not in sys.modules, 'mlflow'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_only_entry_points_print():
    for file in PACKAGE.rglob("*.py"):
        calls = [n for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        assert not any(isinstance(c.func, ast.Name) and c.func.id == "print" for c in calls), file.relative_to(ROOT)


def test_no_remote_code_and_no_pickles():
    for file in [*PACKAGE.rglob("*.py"), *(ROOT / "entrypoints").glob("*.py")]:
        text = file.read_text(encoding="utf-8")
        assert "trust_remote_code=True" not in text, file
        assert not any(m.split(".")[0] in {"pickle", "cloudpickle", "joblib"} for m in _imports(file)), file
