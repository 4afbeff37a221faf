"""Language models, and LaMo, which adapts one."""
