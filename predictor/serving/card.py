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
    classifier, what = report.get("classifier"), "equal greedy answers"
    asked, equal = f"{merge.get('prompts')} real prompts", "equal_answers"
    if classifier:
        what, equal = "equal labels", "equal_labels"
        asked = f"{merge['texts']} real texts"
        use = _use_of_classifier(classifier, reader)
    else:
        use = _use(reader)
    return f"""\
---
library_name: transformers
pipeline_tag: {"text-classification" if classifier else "text-generation"}
{named}---
# A fine-tune of {base}

{how[0].upper()}{how[1:]}.

| | |
|---|---|
{table}

## Is it the same model?

Asked {asked}, the merged model was compared with the tuned one (`parity.json`):

| | merged, in float32 | these files |
|---|---|---|
| largest difference of logits | {merge["max_logit_difference"]:.2e} | {written["max_logit_difference"]:.2e} |
| {what} | {merge[equal]:.1%} | {written[equal]:.1%} |

## Use

{use}{other}
The licence is that of the base model, and of the data that it was tuned on.
"""


def _use(reader: str) -> str:
    return f"""\
```python
from transformers import AutoModelForCausalLM, {reader}

tokenizer, model = {reader}.from_pretrained(FOLDER), AutoModelForCausalLM.from_pretrained(FOLDER)
```
"""


def _use_of_classifier(classifier: Mapping[str, Any], reader: str) -> str:
    """How a classifier is loaded, and how a text is put to it."""
    labels = ", ".join(f"`{label}`" for label in classifier["labels"])
    template = classifier["template"].replace("{class_labels}", ",".join(classifier["labels"]))
    put = f"A text is put as\n\n```\n{template}\n```\n" if template else "A text is put as it is.\n"
    told = f"Classes, in the order of the logits: {labels}. At most {classifier['max_length']} tokens are read. {put}\n"
    if classifier["head"] == "linear":
        return f"""{told}\
```python
from transformers import AutoModelForSequenceClassification, {reader}

tokenizer = {reader}.from_pretrained(FOLDER)
model = AutoModelForSequenceClassification.from_pretrained(FOLDER)
```
"""
    return f"""{told}\
**Its head is an MLP, which plain transformers does not know**: `AutoModelForSequenceClassification` would put a linear
head with random weights in its place, and only warn of it. With the package that made it:

```python
from predictor.models.classifier import load_saved
from predictor.models.device import detect

classifier = load_saved(FOLDER, detect())
classifier.predict(["…"])  # class → probability
```
"""
