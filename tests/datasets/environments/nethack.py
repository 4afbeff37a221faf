"""Skips the tests that need NetHack where it isn't installed."""

import importlib.util

from lamobench.tests.required import lacking


def needs_nethack() -> None:
    """Skip a module of tests, or the test that calls it."""
    if importlib.util.find_spec("nle") is None:
        lacking("nethack", 'NetHack is not installed: pip install "lamobench[nethack]"')
