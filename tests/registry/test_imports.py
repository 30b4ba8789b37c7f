from __future__ import annotations

import subprocess
import sys


def test_importing_the_package_is_light() -> None:
    code = "import predictor, sys; print([m for m in ('torch', 'mlflow', 'lightgbm', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_stored_version_needs_neither_optuna_nor_shap_nor_the_rooms_that_are_not_stored_with_it() -> None:
    code = (
        "import predictor.meta.bundle, predictor.table, sys;"
        "foreign = ('torch', 'optuna', 'shap', 'mlflow', 'predictor.probe', 'predictor.tasks');"
        "print([m for m in foreign if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
