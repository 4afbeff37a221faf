"""Runs on disk: their parts, their place, their damage."""
