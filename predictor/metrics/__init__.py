"""Pure scorers. All functions return fractions in [0, 1]."""
