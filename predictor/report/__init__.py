"""Figures and pages from records: what a predictor knows, how well, and why it says so."""
