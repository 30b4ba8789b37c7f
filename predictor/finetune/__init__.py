"""Changes a model's weights: methods, plan, memory, training, checkpoints."""
