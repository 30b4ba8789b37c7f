"""How well a base model reads everyday text: `python -m benchmarks.everyday_text smollm2`.

Perplexity is exp(Σ NLL / Σ tokens) over the tokens that are predicted, all but the first of each text.
"""

from __future__ import annotations

import math
import sys

from predictor import environment

environment.prepare()
environment.quiet_libraries()

import torch  # noqa: E402

from predictor.models.base_model import load_base_model  # noqa: E402
from predictor.models.device import detect  # noqa: E402
from predictor.probe.generic_text import GENERIC_TEXTS  # noqa: E402
from predictor.trial.sources import ready_base  # noqa: E402


def main(name: str) -> None:
    base = load_base_model(ready_base(name), detect())
    nll, tokens, read = 0.0, 0, 0
    with torch.inference_mode():
        for text in GENERIC_TEXTS:
            ids = torch.tensor([base.tokenizer(text, add_special_tokens=False)["input_ids"]], device=base.model.device)
            logits = base.model(input_ids=ids).logits[0, :-1].double()
            nll += torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
            tokens += ids.shape[1] - 1
            read += len(text.encode())
    print(f"{name} on {len(GENERIC_TEXTS)} everyday texts: {tokens} tokens predicted")
    print(f"perplexity     {math.exp(nll / tokens):.2f}")
    print(f"bits per byte  {nll / math.log(2) / read:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
