"""Agents that learn online, and retention: what keeps them from forgetting what they knew before."""
