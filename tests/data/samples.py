"""Small valid files of every format, written by the tests themselves."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

ROWS: dict[str, list[dict]] = {
    "messages": [
        {
            "messages": [
                {"role": "user", "content": f"Context: The mill was built in 17{n:02}.\nQuestion: When was it built?"},
                {"role": "assistant", "content": f"17{n:02}"},
            ]
        }
        for n in range(30)
    ],
    "sharegpt": [
        {
            "conversations": [
                {"from": "human", "value": f"How warm is it in city {n}?"},
                {"from": "function_call", "value": '{"name": "weather"}'},
                {"from": "observation", "value": '{"celsius": 21}'},
                {"from": "gpt", "value": f"It is {n} degrees."},
            ],
            "tools": '[{"name": "weather"}]',
        }
        for n in range(30)
    ],
    "alpaca": [
        {"instruction": f"Name {n} colours.", "input": "" if n % 2 else "warm ones", "output": f"Red and {n} more."}
        for n in range(30)
    ],
    "prompt_completion": [{"prompt": f"Say {n} in words.", "completion": f"word {n}"} for n in range(30)],
    "classification": [
        {"text": f"film number {n} was a quiet joy to watch", "label": n % 3} for n in range(30)
    ],
    "summarization": [
        {"dialogue": f"A: Shall we meet at {n}?\nB: Gladly.", "summary": f"They meet at {n}."} for n in range(30)
    ],
    "score": [
        {
            "prompt": f"Rate firm {n}.",
            "company_info": f"Firm {n} sells lamps.",
            "think": "Lamps sell well.",
            "score": n / 2,
            "reason": "steady demand",
        }
        for n in range(30)
    ],
    "squad": [
        {
            "id": f"q{n}",
            "title": "Arden",
            "context": f"The mill of Arden was built in 17{n:02} by Odo {n}.",
            "question": "Who built it?",
            "answers": {"text": [f"Odo {n}"], "answer_start": [38]},
        }
        for n in range(30)
    ],
}  # fmt: skip
"""Format → 30 sound rows of it."""


def squad_document(articles: int = 3, paragraphs: int = 4) -> dict:
    """A SQuAD v2.0 document with two questions a paragraph, one of them unanswerable."""
    data = []
    for a in range(articles):
        held = []
        for p in range(paragraphs):
            context = f"Village {a}-{p} has {p + 2} wells. Its oldest well is called Brun {a}{p}."
            answer = f"Brun {a}{p}"
            qas = [
                {
                    "id": f"{a}-{p}-0",
                    "question": "What is the oldest well called?",
                    "answers": [{"text": answer, "answer_start": context.index(answer)}] * 2,
                    "is_impossible": False,
                },
                {"id": f"{a}-{p}-1", "question": "Who dug the wells?", "answers": [], "is_impossible": True},
            ]
            held.append({"context": context, "qas": qas})
        data.append({"title": f"Village_{a}", "paragraphs": held})
    return {"version": "v2.0", "data": data}


def json_lines(rows: list) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def write(path: Path, content: bytes | str | list | dict) -> Path:
    """Bytes and text as they are; rows as JSON Lines or a JSON list, by suffix, gzipped where it says .gz."""
    if isinstance(content, list) and ".jsonl" in path.name:
        content = json_lines(content)
    if isinstance(content, (list, dict)):
        content = json.dumps(content, ensure_ascii=False)
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
