"""The files that describe the project agree with each other and with the code."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from entrypoints import _mlproject

ROOT = Path(__file__).resolve().parent.parent


def _pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_mlproject_is_what_the_configuration_says():
    assert (ROOT / "MLproject").read_text() == _mlproject.render(), "run: make MLproject"


def test_every_declared_parameter_is_used_by_its_command():
    project = yaml.safe_load((ROOT / "MLproject").read_text())
    assert list(project["entry_points"]) == list(_mlproject.VERBS)
    for verb, entry in project["entry_points"].items():
        used = re.findall(r"--(\w+) \{(\w+)\}", entry["command"])
        assert [flag for flag, _ in used] == [name for _, name in used] == list(entry["parameters"]), verb


def test_defaults_survive_yaml_and_the_command_line():
    import importlib

    from predictor.config import from_strings

    project = yaml.safe_load((ROOT / "MLproject").read_text())
    for verb, entry in project["entry_points"].items():
        config = importlib.import_module(_mlproject.module_of(verb)).CONFIG
        texts = {name: str(parameter["default"]) for name, parameter in entry["parameters"].items()}
        assert from_strings(config, texts) == config(), verb


def test_conda_yaml_pins_what_pyproject_pins():
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"]
    [pip] = [entry["pip"] for entry in conda if isinstance(entry, dict)]
    assert pip == _pyproject()["project"]["dependencies"]
    assert all("==" in entry for entry in pip)


def test_the_lock_agrees_with_the_pins():
    lock = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    lock = {name.lower().replace("_", "-"): version for name, version in lock.items()}
    project = _pyproject()["project"]
    for pin in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        name, version = pin.split("==")
        assert lock[name.lower()] == version, name


def test_every_dependency_has_a_reason():
    text = (ROOT / "pyproject.toml").read_text()
    for line in re.findall(r'^    "[\w-]+==.*$', text, re.M):
        assert "  # " in line, line


@pytest.mark.parametrize("verb", _mlproject.VERBS)
def test_help_names_every_parameter(verb: str):
    import importlib

    from entrypoints._cli import flags

    done = subprocess.run(
        [sys.executable, "-m", _mlproject.module_of(verb), "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in flags(importlib.import_module(_mlproject.module_of(verb)).CONFIG):
        assert re.search(rf"^  --{name} ", done.stdout, re.M), name


def test_the_repository_speaks_of_the_project_alone():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    private = re.compile("/" + "work/|" + "/" + "root/")
    for name in filter(None, listed.split("\0")):
        file = ROOT / name
        if file.suffix in {".py", ".md", ".toml", ".yaml", ".json", ".cfg", ""} and file.is_file():
            assert not private.search(file.read_text(encoding="utf-8", errors="ignore")), name
