"""Agents that learn online, and what keeps them from forgetting what they knew before."""
