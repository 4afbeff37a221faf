"""The rows of all methods, a table for each track (`methods.py`)."""
