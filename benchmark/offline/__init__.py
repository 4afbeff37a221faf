"""Track 1: offline reinforcement learning on fractions of a data set."""
