"""Settings judged by cross-validation, after every few rounds of boosting."""

from __future__ import annotations

from collections.abc import Sequence

import lightgbm
import numpy as np

from predictor.meta.differences import strongest_pairs, widen
from predictor.meta.model import anchor_among, dataset, start
from predictor.meta.settings import Kind, Settings
from predictor.meta.splits import Fold
from predictor.meta.trend import fit_trend

PATIENCE = 4
"""Judgements without a gain after which a fold is no longer boosted."""


class View:
    """Some columns of the matrix and its folds, binned once for all trials; a trial only changes the label."""

    def __init__(
        self,
        matrix: np.ndarray,
        columns: Sequence[int],
        y: np.ndarray,
        folds: Sequence[Fold],
        categorical: Sequence[int],
        differences: int,
        anchor: int | None = None,
    ) -> None:
        self.matrix, self.y, self.anchor = matrix[:, columns], y, anchor_among(columns, anchor)
        self.codes = [i for i, column in enumerate(columns) if column in categorical]
        self.folds: list[tuple[np.ndarray, np.ndarray, lightgbm.Dataset, np.ndarray]] = []
        for train, test in folds:
            x = self.matrix[train]
            pairs = strongest_pairs(x, y[train], differences, self.codes)
            data = dataset(widen(x, pairs), y[train], self.codes)
            self.folds.append((train, test, data, widen(self.matrix[test], pairs)))

    def curve(self, settings: Settings, steps: np.ndarray, least: int, seed: int, threads: int) -> np.ndarray:
        """(steps, n): predictions of the folds' test rows after each number of rounds in `steps`, the first being 0.

        A fold whose error no longer falls is not boosted beyond position `least` of the steps; its last predictions
        stand for the rest.
        """
        predicted = np.empty((len(steps), len(self.y)))
        for train, test, data, wide in self.folds:
            x, y = self.matrix, self.y
            begin = fit_trend(settings.trend, x[train], y[train], settings.alpha, self.codes, self.anchor).predict(x)
            data.set_label((y - begin)[train])
            booster = start(data, settings, seed, threads)
            now = begin[test]
            predicted[:, test] = now
            errors = [float(np.sum((now - y[test]) ** 2))]
            for i in range(1, len(steps)):
                before, rounds = int(steps[i - 1]), int(steps[i] - steps[i - 1])
                for _ in range(rounds):
                    booster.update()
                now = now + booster.predict(wide, start_iteration=before, num_iteration=rounds, num_threads=threads)
                predicted[i:, test] = now
                errors.append(float(np.sum((now - y[test]) ** 2)))
                if i >= max(least, 2 * PATIENCE) and min(errors[-PATIENCE:]) > min(errors):
                    break
        return predicted

    def best_alpha(self, kind: Kind, alphas: Sequence[float]) -> float:
        """The ridge penalty with the least error of the trend alone: cheap, so not left to luck."""

        def error(alpha: float) -> float:
            total = 0.0
            for train, test, _, _ in self.folds:
                trend = fit_trend(kind, self.matrix[train], self.y[train], alpha, self.codes, self.anchor)
                total += float(np.sum((trend.predict(self.matrix[test]) - self.y[test]) ** 2))
            return total

        return min(alphas, key=error)


def checkpoints(max_rounds: int) -> np.ndarray:
    """Numbers of rounds at which a trial is judged: 0, then about a fifth more each time."""
    return np.unique(np.concatenate([[0], np.geomspace(2, max_rounds, 24).round()]).astype(int))
