"""Runs on a disk: what one is, where it lies, whether it is whole."""
