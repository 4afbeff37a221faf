"""The paper's smallest example of forgetting: two states, one parameter (arXiv 2402.02868, Appendix A.1).

From s0, which is CLOSE, the policy stays with probability 1 - theta, for a reward of r0 a step, or goes to s1, which is
FAR, with probability theta. There it stays with probability f(theta), or goes back, for r1 a step; other steps pay 1.
The paper prints v0 as a formula and draws r0, r1 and epsilon in a figure only: those here give its numbers.
"""

import numpy as np

DISCOUNT = 0.9
EPSILON = 0.95
R0 = -0.01
R1 = -1.2


def state_coverage_gap(theta: float) -> float:
    """f: the policy that is good at s1 while it knows nothing of s0, theta = 0, forgets it on its way to theta = 1."""
    edge = 1.0 - EPSILON / 2.0
    return 1.0 - EPSILON / edge * theta if theta <= edge else 2.0 * theta - 1.0


def imperfect_cloning_gap(theta: float) -> float:
    """f: good at both ends, bad between."""
    return 2.0 * abs(theta - 0.5)


def formula(theta: float, stays: float) -> float:
    """v0 as the paper prints it."""
    g = DISCOUNT
    paid = theta + R0 * (1.0 - theta) * (1.0 - g * stays) + g * theta * R1 * (1.0 - stays)
    return paid / ((1.0 - g) * (1.0 - g * stays + g * theta))


def solved(theta: float, stays: float) -> float:
    """v0 from the linear system of Bellman's equations."""
    transitions = np.array([[1.0 - theta, theta], [1.0 - stays, stays]])
    rewards = np.array([(1.0 - theta) * R0 + theta, (1.0 - stays) * R1 + stays])
    return float(np.linalg.solve(np.eye(2) - DISCOUNT * transitions, rewards)[0])
