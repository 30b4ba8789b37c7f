"""Dataset formats: each file turns raw rows of one format into Examples and back."""
