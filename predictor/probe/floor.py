"""What a ridge on sentence embeddings and lengths says of given numbers: the floor that a fine-tune has to beat."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np

from predictor.probe.encoder import Encoder
from predictor.probe.texts import tokens

_PENALTIES: Final = np.logspace(-1, 4, 6)
_PIECE: Final = 40
"""Words of a piece of a text: what the encoder reads whole."""
_FOLDS: Final = 5


def ridge_floor(
    texts: Sequence[str],
    values: Sequence[float],
    groups: Sequence[str],
    unseen: Sequence[str],
    encoder: Encoder,
) -> np.ndarray:
    """Numbers that a ridge gives to unseen texts, (unseen,).

    Its columns are the mean embedding of a text's pieces, those of its first and its last piece, and the logarithms of
    its characters, words and lines. The penalty is chosen by five folds that share no group, and no opening: where
    several texts are about the same passage, what tells passages apart says nothing of unseen ones.

    Args:
        texts, values, groups: what is learnt, row by row.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    y = np.asarray(values, dtype=float)
    columns = _columns([*texts, *unseen], encoder)
    known, new = columns[: len(texts)], columns[len(texts) :]
    together = _together(texts, groups)
    folds = min(_FOLDS, len(set(together)))
    if folds < 2 or np.ptp(y) == 0:
        return np.full(len(unseen), float(y.mean()))
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()),
        {"ridge__alpha": _PENALTIES},
        scoring="neg_mean_squared_error",
        cv=GroupKFold(folds),
    )
    search.fit(known, y, groups=np.asarray(together))
    predicted: np.ndarray = search.predict(new)
    return predicted


def _together(texts: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Each row's group; groups with texts that begin alike for half the length of the shorter one are one."""
    first: dict[str, str] = {}

    def root(group: str) -> str:
        while first.setdefault(group, group) != group:
            group = first[group]
        return group

    order = sorted(range(len(texts)), key=texts.__getitem__)
    for one, other in itertools.pairwise(order):
        alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(texts[one], texts[other], strict=False))
        shared = sum(1 for _ in alike)
        if shared and 2 * shared >= min(len(texts[one]), len(texts[other])):
            first[root(groups[other])] = root(groups[one])
    return [root(group) for group in groups]


def _columns(texts: Sequence[str], encoder: Encoder) -> np.ndarray:
    pieces = [_pieces(text) for text in texts]
    ends = np.cumsum([len(of_text) for of_text in pieces])
    vectors = np.split(encoder.encode([piece for of_text in pieces for piece in of_text]), ends[:-1])
    lengths = [[len(text), len(tokens(text)), text.count("\n") + 1] for text in texts]
    of_texts = [np.concatenate([each.mean(axis=0), each[0], each[-1]]) for each in vectors]
    return np.hstack([np.array(of_texts), np.log1p(np.array(lengths, dtype=float))])


def _pieces(text: str) -> list[str]:
    """Runs of words; the last one is as long as the others, so that an end is seen whole."""
    words = text.split() or [""]
    starts = [*range(0, max(1, len(words) - _PIECE), _PIECE), max(0, len(words) - _PIECE)]
    return [" ".join(words[start : start + _PIECE]) for start in dict.fromkeys(starts)]
