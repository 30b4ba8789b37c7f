"""Containers: the ways in which raw rows are kept in a file (JSON Lines, JSON, delimited text, columns, folders)."""
