"""What the scoring task is made of: the scale, the form of an answer, and the figures."""
