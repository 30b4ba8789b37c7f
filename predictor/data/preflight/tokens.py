"""Token lengths of prompt and completion, as a chat model would see them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from predictor.data.example import Example, Message
from predictor.data.preflight.histogram import distribution

Measure = Callable[[Sequence[Example]], list[tuple[int, int, int] | None]]
"""Examples → tokens of the prompt, of prompt and completion together, and those of them that are learnt; None where the
template refuses the row."""

BATCH = 256


def token_measure(
    tokenizer: Any, prompt: Callable[[Example], Sequence[Message]], target: Callable[[Example], str]
) -> Measure:
    """A measure by the tokenizer of a base model, with its chat template if it has one.

    Args:
        tokenizer: a Hugging Face tokenizer.
        prompt: the turns before the answer. target: the answer that is trained on.
    """
    has_template = bool(getattr(tokenizer, "chat_template", None))

    def texts(example: Example) -> tuple[str, str] | None:
        turns = [{"role": role, "content": content} for role, content in prompt(example)]
        if not has_template:
            before = "\n".join(turn["content"] for turn in turns) + "\n"
            return before, before + target(example)
        try:
            before = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            answer = {"role": "assistant", "content": target(example)}
            return before, tokenizer.apply_chat_template([*turns, answer], tokenize=False)
        except Exception:  # templates raise what they like for roles and orders that they do not know
            return None

    def measure(examples: Sequence[Example]) -> list[tuple[int, int, int] | None]:
        pairs = [texts(example) for example in examples]
        flat = [text for pair in pairs if pair is not None for text in pair]
        if not flat:
            return [None] * len(pairs)
        encoded = iter(tokenizer(flat, add_special_tokens=False)["input_ids"])
        counted = [None if pair is None else (len(next(encoded)), len(next(encoded))) for pair in pairs]
        return [None if pair is None else (*pair, max(0, pair[1] - pair[0])) for pair in counted]

    return measure


class Lengths:
    """Collects token lengths batch by batch."""

    def __init__(self, measure: Measure, max_length: int) -> None:
        self._measure = measure
        self._max_length = max_length
        self._waiting: list[Example] = []
        self._totals, self._completions = array("L"), array("L")
        self._cut = self._masked = self._refused = 0

    def add(self, example: Example) -> None:
        """Take a row; it is measured together with the others of its batch."""
        self._waiting.append(example)
        if len(self._waiting) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        for lengths in self._measure(self._waiting):
            if lengths is None:
                self._refused += 1
                continue
            before, total, learnt = lengths
            self._totals.append(total)
            self._completions.append(learnt)
            if self._max_length and before >= self._max_length:
                self._masked += 1
            elif self._max_length and total > self._max_length:
                self._cut += 1
        self._waiting = []

    def figures(self) -> dict[str, Any]:
        """Rates are fractions of the measured rows; `cut` leaves out the rows that are wholly masked.

        `seen` are the tokens of all rows, `learnt` those of them that are learnt; `over` rows exceed `max_length`.
        """
        self._flush()
        rows = max(1, len(self._totals))
        return {
            "max_length": self._max_length or None,
            "seen": sum(self._totals),
            "learnt": sum(self._completions),
            "over": self._cut + self._masked,
            "total": distribution(self._totals),
            "completion": distribution(self._completions),
            "cut": self._cut,
            "cut_rate": self._cut / rows,
            "masked": self._masked,
            "masked_rate": self._masked / rows,
            "refused_by_template": self._refused,
        }
