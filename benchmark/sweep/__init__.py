"""Grids of runs, on the cores of this machine or of a cluster."""
