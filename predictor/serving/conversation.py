"""A conversation with a model: history, settings, commands, and answers that come as they are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from predictor.config import LAB, check, coerce, known_parameter, own_parameters, param
from predictor.data.example import Message, transcript
from predictor.errors import PredictorError
from predictor.models.generate import end_tokens
from predictor.models.render import render_turns
from predictor.models.sampling import RowSampler, Sampling
from predictor.models.shape import context_length
from predictor.serving.opening import Opened

HELP: Final = """\
/reset              forget the conversation; settings and system turn stay
/system TEXT        the system turn; without text none
/set                show the settings; /set NAME VALUE changes one, such as /set temperature 0.7
/history            show the conversation
/help               this
/quit               leave (so does the end of the input)
A line that ends in \\ goes on in the next one; Ctrl-C breaks off an answer."""
_UNSET: Final = ("model", "base_model")
"""Parameters that a conversation cannot change."""


@dataclass(frozen=True)
class ChatConfig:
    """Who is talked to, and how the answers are chosen."""

    model: str = param(LAB, "folder of a model or an adapter, a run, the name of a base model, or a hub id")
    base_model: str = param("", "base model of an adapter; empty takes the one that the fine-tune recorded")
    system: str = param("", "system turn before the conversation")
    max_new_tokens: int = param(256, "tokens of an answer; a longer one is cut", least=1)
    temperature: float = param(0.0, "0 takes the likeliest token each time; above, answers are drawn", least=0.0)
    top_k: int = param(0, "draw among so many likeliest tokens; 0 among all", least=0)
    top_p: float = param(1.0, "draw among the likeliest tokens of this probability together", above=0.0, most=1.0)
    repetition_penalty: float = param(1.0, "above 1 makes tokens less likely that were said before", above=0.0)
    seed: int = param(1, "of the draws", least=0)


@dataclass
class Conversation:
    """The turns so far, and what answers them.

    Attributes:
        say: gets the pieces of an answer as they come.
        note: gets lines that are no part of the conversation.
    """

    opened: Opened
    config: ChatConfig
    say: Callable[[str], None]
    note: Callable[[str], None]
    turns: list[Message] = field(default_factory=list)

    def hear(self, line: str) -> bool:
        """Obey a command, or answer.

        Returns:
            False when the conversation is over.
        """
        text = line.strip()
        if text in ("/quit", "/exit"):
            return False
        if text.startswith("/"):
            try:
                self._obey(text)
            except PredictorError as error:
                self.note(f"error: {error}")
        elif text:
            self.answer(text)
        return True

    def answer(self, text: str) -> str:
        """The model's answer to a turn of the user, both of which are history then.

        An answer that is broken off (KeyboardInterrupt) stays as far as it came. When the conversation outgrows the
        model's context its oldest turns are left out, which is noted.
        """
        self.turns.append(Message("user", text))
        ids = self._fitting()
        if ids is None:
            self.turns.pop()
            self.note(f"this turn and {self.config.max_new_tokens} tokens of an answer exceed the model's context")
            return ""
        heard: list[str] = []
        try:
            self._generate(ids, heard)
        except KeyboardInterrupt:
            self.note("(broken off)")
        answer = "".join(heard).strip()
        self.turns.append(Message("assistant", answer))
        return answer

    def _fitting(self) -> list[int] | None:
        """The prompt as token ids, with as many of the latest turns as fit; None when not even the last one does."""
        room = context_length(self.opened.base.model.config) - self.config.max_new_tokens
        for begin in range(0, len(self.turns), 2):
            ids = render_turns([*self._system(), *self.turns[begin:]], self.opened.base.tokenizer)
            if len(ids) <= room:
                if begin:
                    self.note(f"the model's context is full: the first {begin} turns are left out")
                    del self.turns[:begin]
                return ids
        return None

    def _system(self) -> list[Message]:
        return [Message("system", self.config.system)] if self.config.system else []

    def _generate(self, ids: list[int], heard: list[str]) -> None:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        model, tokenizer, config = self.opened.model, self.opened.base.tokenizer, self.config
        how = Sampling(config.temperature, config.top_k, config.top_p, config.repetition_penalty, config.seed)
        more: dict[str, Any] = {}
        if not how.greedy:
            more["logits_processor"] = LogitsProcessorList([RowSampler(how, [len(self.turns)], [ids], len(ids))])
        prompt = torch.tensor([ids], device=model.device)

        def pass_on(piece: str) -> None:
            heard.append(piece)
            self.say(piece)

        with torch.inference_mode():
            model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                streamer=_streamer(tokenizer, pass_on),
                # The model's own settings may sample, which is for who talks to decide.
                generation_config=GenerationConfig(
                    do_sample=False,
                    max_new_tokens=config.max_new_tokens,
                    eos_token_id=sorted(end_tokens(model, tokenizer)) or None,
                    pad_token_id=int(tokenizer.pad_token_id or 0),
                ),
                **more,
            )

    def _obey(self, text: str) -> None:
        command, _, rest = text.partition(" ")
        rest = rest.strip()
        if command == "/reset":
            self.turns.clear()
            self.note("the conversation is forgotten")
        elif command == "/system":
            self._change("system", rest)
        elif command == "/set" and rest:
            name, _, value = rest.partition(" ")
            self._change(name, value.strip())
        elif command == "/set":
            settings = {n: v for n, v in dataclasses.asdict(self.config).items() if n not in _UNSET}
            self.note("\n".join(f"{name} {value}" for name, value in settings.items()))
        elif command == "/history":
            self.note(transcript([*self._system(), *self.turns]) or "nothing")
        else:
            self.note(HELP if command == "/help" else f"unknown command {command}\n{HELP}")

    def _change(self, name: str, value: str) -> None:
        known = {n: p for n, p in own_parameters(ChatConfig).items() if n not in _UNSET}
        parameter = known_parameter(name, known, "setting", f"/set {name}")
        changed: Any = {name: coerce(parameter, value, f"/set {name} {value}")}
        self.config = dataclasses.replace(self.config, **changed)
        check(self.config)
        self.note(f"{name} {getattr(self.config, name)}")


def _streamer(tokenizer: Any, say: Callable[[str], None]) -> Any:
    from transformers import TextStreamer

    class Streamer(TextStreamer):
        """Passes pieces of text on as soon as their characters are whole."""

        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
            """Pass a piece on."""
            if text:
                say(text)

    return Streamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
