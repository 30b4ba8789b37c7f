"""What a fine-tune cost: base and tuned model on the same rows, judged by more than noise."""

from predictor.evaluation.settings import Comparison
from predictor.evaluation.targets import FORGETTING, RETENTION

__all__ = ["FORGETTING", "RETENTION", "Comparison"]
