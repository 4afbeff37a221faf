"""Runs on a disk: their parts, their place, their damage."""
