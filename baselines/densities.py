"""Log densities that several algorithms share."""

import math

from torch import Tensor
from torch.nn import functional as F


def squashed_log_density(before: Tensor, noise: Tensor, log_std: Tensor) -> Tensor:
    """Log density of tanh(before), where before = mean + std * noise is Gaussian; summed over action dimensions."""
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2.0 * math.pi)
    # log(1 - tanh(x)^2) in a form that keeps its precision for large |x|
    squash = 2.0 * (math.log(2.0) - before - F.softplus(-2.0 * before))
    return (gaussian - squash).sum(-1)
