"""Skips the tests that need Meta-World where it isn't installed."""

import importlib.util

from lamobench.tests.required import lacking


def needs_meta_world() -> None:
    """Skip a module of tests, or the test that calls it."""
    if importlib.util.find_spec("metaworld") is None:
        lacking("metaworld", 'Meta-World is not installed: pip install "lamobench[finetune]"')
