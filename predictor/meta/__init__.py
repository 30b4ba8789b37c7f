"""Table → model: tune, validate, compare with baselines, say how sure it is, explain."""
