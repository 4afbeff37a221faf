"""The harness that every method runs on, and LaMo."""
