"""What a merge is told of a kind of model, one that writes or a classifier: how it is loaded, asked and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from predictor.errors import ModelError
from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.classifier import Classifier, Saved, classifier_of, load_whole, save_classifier
from predictor.models.device import Device
from predictor.models.head import head_outputs, reader_tokenizer
from predictor.models.render import render_turns
from predictor.progress import Progress
from predictor.serving.opening import Weights, base_of
from predictor.serving.parity import ClassParity, Parity, Said, classes_said, said
from predictor.serving.questions import Question

if TYPE_CHECKING:
    import torch

LINEAR: Final = "linear"
"""The head that plain transformers knows."""


class Subject(Protocol):
    """A kind of model, and what it is asked."""

    @property
    def parity(self) -> type[Parity]:
        """What a comparison of two such models comes to."""
        ...

    @property
    def card(self) -> Mapping[str, Any]:
        """What the model card and parity.json say of the kind."""
        ...

    def whole(self, folder: Path, device: Device) -> BaseModel:
        """A model all of whose weights lie in a folder."""
        ...

    def base(self, weights: Weights, base_model: str, device: Device, progress: Progress) -> BaseModel:
        """The base of an adapter, as it was in the fine-tune."""
        ...

    def ids(self, tokenizer: Any) -> list[list[int]]:
        """What is asked, as token ids."""
        ...

    def said(self, model: Any, tokenizer: Any, ids: Sequence[list[int]], like: Said | None = None) -> Said:
        """What a model says to it.

        Args:
            like: what it will be compared with.
        """
        ...

    def read_again(self, folder: Path, device: Device) -> tuple[Any, Any]:
        """Model and tokenizer of a folder that a merge has written, read in the plainest way that serves."""
        ...

    def keep(self, model: Any, tokenizer: Any, folder: Path) -> None:
        """Write what this kind needs beside weights and tokenizer."""
        ...

    def plainly(self, folder: Path, ids: Sequence[list[int]]) -> bool:
        """Whether AutoTokenizer, which gives some kinds of models a tokenizer of their own, reads the same ids."""
        ...


class Writer:
    """A model that writes, and the prompts that it is asked.

    Args:
        most: tokens of an answer.
    """

    parity = Parity
    card: Mapping[str, Any] = {}

    def __init__(self, questions: Sequence[Question], most: int) -> None:
        self._questions = questions
        self._most = most

    def whole(self, folder: Path, device: Device) -> BaseModel:
        """A causal language model."""
        return load_base_model(str(folder), device)

    def base(self, weights: Weights, base_model: str, device: Device, progress: Progress) -> BaseModel:
        """The base of an adapter, as it was in the fine-tune."""
        return base_of(weights, base_model, device, progress)

    def ids(self, tokenizer: Any) -> list[list[int]]:
        """The prompts."""
        return [render_turns(question.turns, tokenizer) for question in self._questions]

    def said(self, model: Any, tokenizer: Any, ids: Sequence[list[int]], like: Said | None = None) -> Said:
        """Greedy answers, and the logits where they begin and go on."""
        return said(model, tokenizer, ids, self._most, like)

    def read_again(self, folder: Path, device: Device) -> tuple[Any, Any]:
        """Model and tokenizer."""
        whole = load_base_model(str(folder), device)
        return whole.model, whole.tokenizer

    def keep(self, model: Any, tokenizer: Any, folder: Path) -> None:
        """Nothing more."""

    def plainly(self, folder: Path, ids: Sequence[list[int]]) -> bool:
        """Whether AutoTokenizer splits the prompts alike."""
        from transformers import AutoTokenizer

        return self.ids(AutoTokenizer.from_pretrained(str(folder))) == list(ids)


class Reader:
    """A classifier, and the texts that it reads.

    Args:
        saved: what stands beside its weights.
    """

    parity = ClassParity

    def __init__(self, questions: Sequence[Question], saved: Saved) -> None:
        self._texts = [question.shown for question in questions]
        self._saved = saved
        self._most = saved.max_length

    @property
    def card(self) -> Mapping[str, Any]:
        """Labels, head and template, and how many tokens of a text are read."""
        saved = self._saved
        told = {"labels": saved.labels, "head": saved.head, "template": saved.template, "max_length": self._most}
        return {"classifier": told}

    def whole(self, folder: Path, device: Device) -> BaseModel:
        """A model with its head."""
        return self._noted(load_whole(folder, device, self._saved))

    def base(self, weights: Weights, base_model: str, device: Device, progress: Progress) -> BaseModel:
        """The base of an adapter, with a head that the adapter replaces."""
        return self._noted(base_of(weights, base_model, device, progress, self._saved))

    def ids(self, tokenizer: Any) -> list[list[int]]:
        """The texts in their template, cut to what the model reads."""
        return [row.prompt_ids for row in self._classifier(tokenizer).rows(self._texts)]

    def said(self, model: Any, tokenizer: Any, ids: Sequence[list[int]], like: Said | None = None) -> Said:
        """The scores of the classes, text by text."""
        import torch

        device = next(model.parameters()).device
        found = []
        with torch.inference_mode():
            for row in ids:
                tensor = torch.tensor([row], device=device)
                found.append(self._scores(model, tensor, torch.ones_like(tensor))[0])
        return classes_said(found)

    def read_again(self, folder: Path, device: Device) -> tuple[Any, Any]:
        """Model and tokenizer; the model in plain transformers where it knows the head."""
        import torch
        from transformers import AutoModelForSequenceClassification

        if self._saved.head != LINEAR:
            whole = load_whole(folder, device, self._saved)
            return whole.model, whole.tokenizer
        model = AutoModelForSequenceClassification.from_pretrained(
            str(folder), dtype=getattr(torch, device.dtype_name), attn_implementation=device.attention
        )
        return _Plain(model.to(device.kind).eval()), reader_tokenizer(str(folder))

    def keep(self, model: Any, tokenizer: Any, folder: Path) -> None:
        """Labels, head, template and length, by which generate reads the folder."""
        save_classifier(model, tokenizer, folder, self._saved.head, self._saved.template, max_length=self._most)

    def plainly(self, folder: Path, ids: Sequence[list[int]]) -> bool:
        """Whether AutoTokenizer reads the texts alike, those aside that are cut."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(folder))
        classifier = self._classifier(tokenizer)
        pairs = zip(classifier.put(self._texts), classifier.rows(self._texts), ids, strict=True)
        return all(row.cut or tokenizer(text)["input_ids"] == known for text, row, known in pairs)

    def _classifier(self, tokenizer: Any) -> Classifier:
        return Classifier(None, tokenizer, self._saved.labels, self._saved.template, self._most)

    def _noted(self, base: BaseModel) -> BaseModel:
        self._most = classifier_of(self._saved, base.model, base.tokenizer).max_length
        return base

    def _scores(self, model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if isinstance(model, _Plain):
            scores: torch.Tensor = model.model(input_ids=ids, attention_mask=mask).logits
            return scores
        return head_outputs(model, ids, mask)


class _Plain:
    """A model that is asked as plain transformers asks it, with transformers' own pooling."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def parameters(self) -> Any:
        return self.model.parameters()


def refuse_several(parts: Sequence[Weights]) -> None:
    """Raise ModelError when classifiers are to be weighted: each has a head of its own, learnt whole."""
    if len(parts) > 1:
        raise ModelError(
            "classifiers cannot be weighted: each has a head of its own, which is no matrix beside another",
            where=", ".join(str(part.folder) for part in parts),
            rule="one classifier is merged at a time",
            fix="-P run_id=RUN with one run",
        )
