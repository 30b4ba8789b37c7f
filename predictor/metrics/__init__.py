"""Pure scorers, and how sure a score is."""
