"""A base or tuned model in use: merged into one folder, asked for many answers, or talked to."""
