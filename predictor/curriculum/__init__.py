"""Fine-tunes in stages, mixtures of tasks and shares of a dataset: what they consist of, and what came of them."""
