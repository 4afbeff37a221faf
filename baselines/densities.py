"""Log densities that several algorithms share."""

import math

from torch import Tensor
from torch.nn import functional as F


def squashed_log_density(pre_tanh: Tensor, noise: Tensor, log_std: Tensor) -> Tensor:
    """Log density of tanh(pre_tanh), where pre_tanh = mean + std * noise is Gaussian; summed over action dimensions."""
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2.0 * math.pi)
    # log(1 - tanh(x)^2) in a form that keeps its precision for large |x|
    squash = 2.0 * (math.log(2.0) - pre_tanh - F.softplus(-2.0 * pre_tanh))
    return (gaussian - squash).sum(-1)
