"""What a fine-tune learns from its rows: to say their answers, unless something else is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from predictor.models.base_model import BaseModel


class Learning(Protocol):
    """What is learnt from rows, and how a step's loss comes of them."""

    @property
    def trainer(self) -> type[Any]:
        """The class of trainer; it takes `pass_tokens`."""
        ...

    @property
    def metric(self) -> str | None:
        """By which evaluations the outcome is chosen: `loss`, a score, or None where only early stopping chooses."""
        ...

    def begin(self, model: Any) -> None:
        """Draw weights of its own; the seed was set right before."""
        ...

    def arguments(
        self, told: dict[str, Any], base: BaseModel, rows: Sequence[Any], dev_rows: Sequence[Any]
    ) -> dict[str, Any]:
        """The trainer's arguments beside model, callbacks and tokenizer.

        Args:
            told: keyword arguments of TRL's `SFTConfig`.
        """
        ...


class Answers:
    """Learning to say the answers of rendered rows: SFTTrainer, prompts masked."""

    metric = None

    @property
    def trainer(self) -> type[Any]:
        """SFTTrainer with passes."""
        from predictor.finetune.passes import PassTrainer

        return PassTrainer

    def begin(self, model: Any) -> None:
        """Nothing is drawn."""

    def arguments(
        self, told: dict[str, Any], base: BaseModel, rows: Sequence[Any], dev_rows: Sequence[Any]
    ) -> dict[str, Any]:
        """Configuration and rows."""
        from trl import SFTConfig

        from predictor.finetune.labels import as_dataset

        return {
            "args": SFTConfig(**told),
            "train_dataset": as_dataset(rows),
            "eval_dataset": as_dataset(dev_rows) if dev_rows else None,
        }
