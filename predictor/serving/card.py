"""The README of a merged model: what it was made from, how it was tuned, and how far it is from the tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card_text(report: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """The README as Markdown, under the head that the hub reads.

    Args:
        report: the content of parity.json.
        told: further lines of its table, such as dataset, hyperparameters and scores.
    """
    merge, written = report["merge"], report["written"]
    base, quantization = report["base_model"], report["quantization"]
    into = f"the numbers that its {quantization} weights stand for" if quantization else "its weights"
    how = "all weights were trained" if report["method"] == "full" else f"the adapter was merged into {into}"
    lines = {
        "base model": f"`{base}`"
        + (f", weights `{report['base_model_digest']}`" if report["base_model_digest"] else ""),
        "method": report["method"] or "an adapter of peft",
        "type of the files": report["dtype"],
        **({"runs": ", ".join(f"`{run}`" for run in report["runs"])} if report["runs"] else {}),
        **told,
    }
    reader = "AutoTokenizer" if report["auto_tokenizer"] else "PreTrainedTokenizerFast"
    table = "\n".join(f"| {name} | {value} |" for name, value in lines.items())
    other = "" if report["auto_tokenizer"] else "\n`AutoTokenizer` would split its words otherwise.\n"
    named = f"base_model: {base}\n" if "/" in base and not base.startswith(("/", ".", "~")) else ""
    return f"""\
---
library_name: transformers
pipeline_tag: text-generation
{named}---
# A fine-tune of {base}

{how[0].upper()}{how[1:]}.

| | |
|---|---|
{table}

## Is it the same model?

Asked {merge["prompts"]} real prompts, the merged model was compared with the tuned one (`parity.json`):

| | merged, in float32 | these files |
|---|---|---|
| largest difference of logits | {merge["max_logit_difference"]:.2e} | {written["max_logit_difference"]:.2e} |
| equal greedy answers | {merge["equal_answers"]:.1%} | {written["equal_answers"]:.1%} |

## Use

```python
from transformers import AutoModelForCausalLM, {reader}

tokenizer, model = {reader}.from_pretrained(FOLDER), AutoModelForCausalLM.from_pretrained(FOLDER)
```
{other}
The licence is that of the base model, and of the data that it was tuned on.
"""
