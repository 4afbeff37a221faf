"""Measurements of `lamobench bench`: one module a group of measurements, and the harness that they share."""
