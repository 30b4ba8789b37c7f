"""Examples as token ids: the chat template of the base model around the task's prompt and target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictor.data.example import Example, Message
from predictor.errors import DataError, ModelError
from predictor.tasks.base import Task, learns_every_turn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class RenderedRow:
    """One example as the model sees it. The completion, which ends with the end-of-turn token, is learnt.

    Attributes:
        earlier: (first, behind the last) positions in `prompt_ids` of earlier turns of the assistant that are learnt
            too, with their end-of-turn tokens; empty unless the task learns every turn.
    """

    id: str
    prompt_ids: list[int]
    completion_ids: list[int]
    earlier: tuple[tuple[int, int], ...] = ()

    @property
    def length(self) -> int:
        """Tokens of prompt and completion."""
        return len(self.prompt_ids) + len(self.completion_ids)

    @property
    def learnt(self) -> int:
        """Tokens that are learnt."""
        return len(self.completion_ids) + sum(end - begin for begin, end in self.earlier)


def render_prompts(examples: Sequence[Example], task: Task, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Token ids up to where the model's answer begins, one list for each example."""
    if learns_every_turn(task):
        pieces = [_pieces(example.id, task.prompt(example), tokenizer) for example in examples]
        return [[token for ids in row for token in ids] for row in _ids_of_pieces(pieces, tokenizer)]
    texts = [_prompt_text(task.prompt(example), tokenizer) for example in examples]
    return _token_ids(texts, tokenizer)


def render_turns(turns: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of one conversation up to where the model's answer begins."""
    return _token_ids([_prompt_text(turns, tokenizer)], tokenizer)[0]


def render_rows(examples: Sequence[Example], task: Task, tokenizer: PreTrainedTokenizerBase) -> list[RenderedRow]:
    """Prompt and completion of each example, tokenized apart so that training sees the very prompt of generation.

    Of a task that learns every turn, each turn of the assistant is tokenized apart, in prompts of generation too: so an
    earlier answer is the tokens that the model itself would have said.

    Raises:
        ModelError: the chat template does not put the answer after the prompt, or refuses the turns.
    """
    if learns_every_turn(task):
        return _rows_of_turns(examples, task, tokenizer)
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


def render_answers(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, *, ended: bool) -> list[list[int]]:
    """Token ids of answers, or of the beginnings of answers, as completions are trained.

    Args:
        ended: the end of the turn follows.
    """
    end = _turn_closing(tokenizer) if ended else ""
    return _token_ids([text + end for text in texts], tokenizer)


def _rows_of_turns(examples: Sequence[Example], task: Task, tokenizer: PreTrainedTokenizerBase) -> list[RenderedRow]:
    turns = [[*task.prompt(example), Message("assistant", task.target(example))] for example in examples]
    pieces = [_pieces(example.id, each, tokenizer) for example, each in zip(examples, turns, strict=True)]
    rows = []
    for example, ids in zip(examples, _ids_of_pieces(pieces, tokenizer), strict=True):
        prompt: list[int] = []
        earlier = []
        for place, piece in enumerate(ids[:-1]):
            if place % 2 and piece:
                earlier.append((len(prompt), len(prompt) + len(piece)))
            prompt += piece
        rows.append(RenderedRow(example.id, prompt, ids[-1], tuple(earlier)))
    return rows


def _pieces(name: str, turns: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The conversation as the template writes it, cut where the assistant begins and ends to speak.

    Returns:
        what is read and what the assistant says in turns; it ends where the assistant has spoken, or is to.

    Raises:
        ModelError: the template writes a turn otherwise when others follow it.
    """
    open_end = turns[-1].role != "assistant"
    whole = _template(turns, tokenizer, generation=open_end, name=name)
    pieces: list[str] = []
    done = ""
    for place in (place for place, turn in enumerate(turns) if turn.role == "assistant"):
        before = _template(turns[:place], tokenizer, generation=True, name=name)
        # Templates end the turn with a newline after the end token; generation never gets to emit it.
        after = _template(turns[: place + 1], tokenizer, generation=False, name=name).rstrip("\n")
        if not (before.startswith(done) and after.startswith(before) and whole.startswith(after)):
            raise ModelError(
                f"the chat template writes turn {place + 1} otherwise when other turns follow it",
                where=f"example {name}",
                rule="to learn every turn of the assistant, template(turns) must begin with template(first turns)",
                fix="use a base model whose chat template has this property, or rows of one answer each",
            )
        pieces += [before[len(done) :], after[len(before) :]]
        done = after
    return [*pieces, whole[len(done) :]] if open_end else pieces


def _ids_of_pieces(pieces: Sequence[Sequence[str]], tokenizer: PreTrainedTokenizerBase) -> list[list[list[int]]]:
    ids = iter(_token_ids([text for row in pieces for text in row], tokenizer))
    return [[next(ids) for _ in row] for row in pieces]


def row_lengths(
    task: Task, tokenizer: PreTrainedTokenizerBase
) -> Callable[[Sequence[Example]], list[tuple[int, int, int] | None]]:
    """Measures examples as they would be trained on: tokens of the prompt, of the whole row, and those learnt.

    Returns:
        a function of examples; None in the place of one that the chat template refuses.
    """

    def measure(examples: Sequence[Example]) -> list[tuple[int, int, int] | None]:
        try:
            rows = render_rows(examples, task, tokenizer)
        except ModelError:
            # One of them is refused; which, each alone will tell.
            return [None] if len(examples) == 1 else [found for each in examples for found in measure([each])]
        # Of a conversation no part is a prompt alone, to be told from what is cut: a long one is left out as a whole.
        whole = learns_every_turn(task)
        return [(0 if whole else len(row.prompt_ids), row.length, row.learnt) for row in rows]

    return measure


def turn_end(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token by which the chat template ends an answer, which is what a fine-tune learns to end with.

    Returns:
        None without a template, or with one that ends turns with ordinary text, whose last token an answer may hold.
    """
    if not tokenizer.chat_template:
        return None
    ids = _token_ids([_turn_closing(tokenizer)], tokenizer)[0]
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


def _turn_closing(tokenizer: PreTrainedTokenizerBase) -> str:
    """What the chat template writes after an answer, the line break after the end token aside."""
    turns = [Message("user", "?"), Message("assistant", "answer")]
    return _template(turns, tokenizer, generation=False).rstrip("\n").rpartition("answer")[2]


def _prompt_text(turns: Sequence[Message], tokenizer: PreTrainedTokenizerBase) -> str:
    return _template(turns, tokenizer, generation=True)


def _template(turns: Sequence[Message], tokenizer: PreTrainedTokenizerBase, *, generation: bool, name: str = "") -> str:
    from jinja2.exceptions import TemplateError

    try:
        return str(
            tokenizer.apply_chat_template(
                [{"role": turn.role, "content": turn.content} for turn in turns],
                add_generation_prompt=generation,
                tokenize=False,
            )
        )
    except TemplateError as error:
        raise ModelError(
            f"the chat template refuses the turns {', '.join(turn.role for turn in turns)}: {error}",
            where=f"example {name}" if name else None,
            rule="the base model's chat template decides which roles may speak, and in which order",
            fix="use a base model whose template knows these roles, or leave such rows out of the dataset",
        ) from None


def _token_ids(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    # The template has written the special tokens already.
    return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
