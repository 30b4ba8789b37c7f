"""Examples as token ids: the chat template of the base model around the task's prompt and target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictor.data.example import Example, Message
from predictor.errors import DataError, ModelError
from predictor.tasks.base import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class RenderedRow:
    """One example as the model sees it. Only the completion, which ends with the end-of-turn token, is learnt."""

    id: str
    prompt_ids: list[int]
    completion_ids: list[int]

    @property
    def length(self) -> int:
        """Tokens of prompt and completion."""
        return len(self.prompt_ids) + len(self.completion_ids)


def render_prompts(examples: Sequence[Example], task: Task, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Token ids up to where the model's answer begins, one list for each example."""
    texts = [_prompt_text(task.prompt(example), tokenizer) for example in examples]
    return _token_ids(texts, tokenizer)


def render_turns(turns: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of one conversation up to where the model's answer begins."""
    return _token_ids([_prompt_text(turns, tokenizer)], tokenizer)[0]


def render_rows(examples: Sequence[Example], task: Task, tokenizer: PreTrainedTokenizerBase) -> list[RenderedRow]:
    """Prompt and completion of each example, tokenized apart so that training sees the very prompt of generation.

    Raises:
        ModelError: the chat template does not put the answer after the prompt.
    """
    prompts: list[str] = []
    completions: list[str] = []
    for example in examples:
        turns = task.prompt(example)
        prompt = _prompt_text(turns, tokenizer)
        whole = _template([*turns, Message("assistant", task.target(example))], tokenizer, generation=False)
        if not whole.startswith(prompt):
            raise ModelError(
                "the chat template does not put the answer after its own generation prompt",
                where=f"example {example.id}",
                rule="template(turns + answer) must begin with template(turns, add_generation_prompt=True)",
                fix="use a base model whose chat template has this property",
            )
        prompts.append(prompt)
        # Templates end the turn with a newline after the end token; generation never gets to emit it.
        completions.append(whole[len(prompt) :].rstrip("\n"))
    return [
        RenderedRow(example.id, prompt_ids, completion_ids)
        for example, prompt_ids, completion_ids in zip(
            examples, _token_ids(prompts, tokenizer), _token_ids(completions, tokenizer), strict=True
        )
    ]


def turn_end(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token by which the chat template ends an answer, which is what a fine-tune learns to end with.

    Returns:
        None without a template, or with one that ends turns with ordinary text, whose last token an answer may hold.
    """
    if not tokenizer.chat_template:
        return None
    turns = [Message("user", "?"), Message("assistant", "answer")]
    text = _template(turns, tokenizer, generation=False).rstrip("\n")
    ids = _token_ids([text.rpartition("answer")[2]], tokenizer)[0]
    return int(ids[-1]) if ids and ids[-1] in tokenizer.added_tokens_decoder else None


def within_length(rows: Sequence[RenderedRow], max_length: int) -> list[RenderedRow]:
    """The rows that fit whole. A cut completion would teach the model to stop in mid-answer: longer rows are refused.

    Raises:
        DataError: no row fits.
    """
    kept = [row for row in rows if row.length <= max_length]
    if not kept:
        shortest, longest = min(row.length for row in rows), max(row.length for row in rows)
        prompts = sum(len(row.prompt_ids) >= max_length for row in rows)
        raise DataError(
            f"max_length={max_length} cuts off the completion of every one of the {len(rows)} training rows",
            where="-P max_length",
            rule=f"prompt and completion together fit in max_length; here they take {shortest} to {longest} tokens, "
            f"and {prompts} prompts alone fill it",
            fix=f"set max_length={longest} to keep all rows",
        )
    return kept


def _prompt_text(turns: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> str:
    return _template(turns, tokenizer, generation=True)


def _template(turns: Sequence[Message], tokenizer: PreTrainedTokenizerBase, *, generation: bool) -> str:
    return str(
        tokenizer.apply_chat_template(
            [{"role": turn.role, "content": turn.content} for turn in turns],
            add_generation_prompt=generation,
            tokenize=False,
        )
    )


def _token_ids(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    # The template has written the special tokens already.
    return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
