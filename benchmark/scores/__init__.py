"""Scores with intervals, read from run folders."""
