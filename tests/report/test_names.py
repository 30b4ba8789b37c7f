"""Names that users chose, in every figure that shows names."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from predictor.report.explanations import bars, beeswarm, dependence
from predictor.report.labels import plain
from predictor.report.validation import against_baselines, predicted_against_actual, residuals

# Chinese signs are drawn as boxes where the machine has no font for them: the figure is whole all the same.
pytestmark = pytest.mark.filterwarnings("ignore:Glyph .* missing from font:UserWarning")

ODD = [r"$\frac", "$a$", r"cost_{$}^2$", "two\nlines", "\udce9t\udce9.json", r"\$5", "数据集", "_hidden", " "]
Y = np.linspace(0.1, 0.9, 18)
GROUPS = np.array(ODD * 2, dtype=object)
VALUES = np.random.default_rng(0).normal(size=(18, len(ODD)))


FIGURES: dict[str, Callable[[], Figure]] = {
    "beeswarm": lambda: beeswarm(VALUES, VALUES, ODD, 0.5),
    "bars": lambda: bars(VALUES, ODD),
    "dependence": lambda: dependence(VALUES, VALUES, ODD, shown=len(ODD)),
    "predicted": lambda: predicted_against_actual(Y, Y + 0.1, (Y, Y + 0.2), GROUPS, r"$\frac$"),
    "residuals": lambda: residuals(Y, Y + 0.1, GROUPS),
    "baselines": lambda: against_baselines(dict.fromkeys(ODD, 0.1), r"error of $\frac$"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_name_breaks_a_figure(name: str) -> None:
    figure = FIGURES[name]()
    for kind in ("png", "svg"):
        figure.savefig(BytesIO(), format=kind)


def test_names_are_shown_as_they_are_written() -> None:
    figure = residuals(Y, Y + 0.1, GROUPS)
    buffer = BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg")
    drawn = buffer.getvalue().decode()
    for text in (r"$\frac", "$a$", r"cost_{$}^2$", "two lines", "?t?.json", "数据集"):
        assert f">{text}</text>" in drawn, text


def test_of_a_long_name_the_end_is_shown() -> None:
    assert plain("a" * 100 + ".json", most=48) == "…" + "a" * 42 + ".json"
    assert plain("$" * 60, most=48) == "…" + r"\$" * 47, "an escape is never cut in two"
    assert plain("short", most=48) == "short"
