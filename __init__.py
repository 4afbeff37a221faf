"""lamobench: does what a model learned before reinforcement learning help it, and does it survive?"""
