"""A base model, or a tuned one, ready to be asked: loaded, placed, rendered for, generated from."""
