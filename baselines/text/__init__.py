"""Agents of text games, and how a text becomes vectors. Plain PyTorch: language models are the benchmark's."""
