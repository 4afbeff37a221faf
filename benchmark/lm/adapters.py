"""The trained part of a language model: low-rank updates, everything, or nothing.

Hu et al. 2021 (arXiv 2106.09685) for the updates; Shi et al. 2024, Section 4.2 and published code, for where they go.
"""

import numpy as np
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ...baselines.dropout import Dropout
from ...baselines.onednn import linear
from .families import family_of
from .rounding import RoundedOnce


def add_lora(model: PreTrainedModel, pairs: str, rank: int, alpha: float, dropout: float, targets: str = "qkv") -> None:
    """Freeze `model`, and add updates of `rank`, scaled by `alpha / rank`, to its queries, keys and values.

    `targets`: "qkv" as published; "attention" gives attention's output projection an update too, "all" also both
    feed-forward layers.

    `pairs`: "separate" gives each of the three its own pair of matrices, as LaMo does on D4RL (through loralib);
    "joint" gives GPT-2's fused layer one pair, as LaMo does on Atari (through peft). The layers' biases are trained too
    with "separate", as published there.
    """
    model.requires_grad_(False)
    family = family_of(model)
    more = family.more_targets[targets]
    if pairs == "separate" and family.split:
        family.split(model, more)
    lora = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=[*(family.projections if pairs == "separate" else [family.fused]), *more],
        fan_in_fan_out=pairs == "joint",
        bias="lora_only" if pairs == "separate" else "none",
    )
    inject_adapter_in_model(lora, model)


class FastLinear(nn.Module):
    """A linear layer of a language model, with its parameters under their names, multiplied as all of ours are."""

    def __init__(self, layer: nn.Linear | Conv1D) -> None:
        super().__init__()
        self.weight = layer.weight
        self.bias = layer.bias
        self.rounded = RoundedOnce()
        self.inputs_first = isinstance(layer, Conv1D)  # GPT-2 stores its weights as (in, out)
        if self.inputs_first and not self.weight.requires_grad and self.weight.shape[0] > self.weight.shape[1]:
            # forward and backward, oneDNN is a twentieth faster where the longer side is contiguous; MKL is not
            self.weight.data = self.weight.data.T.contiguous().T

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        weight = self.rounded(self.weight)
        return linear(inputs, weight.T if self.inputs_first else weight, self.bias)


def use_fast_layers(model: PreTrainedModel) -> None:
    """Give a language model with its updates our linear layers and dropout, which are faster on a CPU."""
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) in (nn.Linear, Conv1D):
                setattr(module, name, FastLinear(layer))
            elif type(layer) is nn.Dropout:
                setattr(module, name, Dropout(layer.p).train(layer.training))


class Rewinding:
    """The way back, in part, of what training changed of a language model.

    Low-rank updates are scaled by alpha: W + alpha * scaling * B A. Every other trained tensor (the biases beside
    updates; with full fine-tuning all of them) lies at alpha on the line from where it began to where it ended, as in
    Wortsman et al. 2022 (arXiv 2109.01903, equation 1). So at 0 the model is what it was before, at 1 what it became.
    """

    def __init__(self, model: nn.Module) -> None:
        """`model`: adapted and not trained yet; weights are loaded into it afterwards."""
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad and ".lora_" not in name]
        self.model = model
        self.began = {name: parameter.detach().clone() for name, parameter in trained}
        self.updates = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
        self.scalings = [layer.scaling["default"] for layer in self.updates]
        self.ended: dict[str, Tensor] = {}

    @torch.no_grad()
    def to(self, alpha: float) -> None:
        """Bring the model to `alpha`; the first call takes its weights for those at 1."""
        if not self.ended:
            self.ended = {name: self.model.get_parameter(name).detach().clone() for name in self.began}
        for layer, scaling in zip(self.updates, self.scalings, strict=True):
            layer.scaling["default"] = alpha * scaling
        for name, began in self.began.items():
            self.model.get_parameter(name).copy_(torch.lerp(began, self.ended[name], alpha))


class Perturbing:
    """Moves of a language model in random directions, as far from where it began as training brought it.

    Each row of each trained tensor is as far from its beginning as it was at the end, so a word that was never read
    stays. What low-rank updates add to a weight is as large as it was: the product of two random matrices of their
    shapes.
    """

    def __init__(self, model: nn.Module) -> None:
        """`model`: adapted and not trained yet; weights are loaded into it afterwards."""
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad and ".lora_" not in name]
        self.model = model
        self.began = {name: parameter.detach().clone() for name, parameter in trained}
        self.updates = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
        self.distances: dict[str, Tensor] = {}  # (..., 1) of the rows of each tensor of `began`
        self.lengths: list[Tensor] = []  # of what each update adds

    @torch.no_grad()
    def move(self, rng: np.random.Generator) -> None:
        """Move in directions that `rng` draws; the first call takes the model's weights for those at the end."""
        if not self.distances and not self.lengths:
            self.distances = {
                name: _norms(self.model.get_parameter(name) - began) for name, began in self.began.items()
            }
            self.lengths = [_added_square(layer).sqrt() for layer in self.updates]
        for name, began in self.began.items():
            direction = _drawn(began.shape, rng)
            self.model.get_parameter(name).copy_(began + self.distances[name] * direction / _norms(direction))
        for layer, length in zip(self.updates, self.lengths, strict=True):
            for pair in (layer.lora_A, layer.lora_B):
                pair["default"].weight.copy_(_drawn(pair["default"].weight.shape, rng))
            layer.lora_B["default"].weight.mul_(length / _added_square(layer).sqrt())


def _norms(tensor: Tensor) -> Tensor:
    """The norms (..., 1) of the rows of a tensor; a vector is one row."""
    norms: Tensor = torch.linalg.vector_norm(tensor, dim=-1, keepdim=True)
    return norms


def _drawn(shape: torch.Size, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(shape), np.float32))


class WeightDistance(nn.Module):
    """The distance of a language model's weights from where they began: a sum of squares.

    Low-rank updates count by what they add to a weight, `scaling * B A`, whose squared norm is `<B^T B, A A^T>`; it
    begins at zero. Every other trained tensor is compared with a copy of itself.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.names = [name for name, p in model.named_parameters() if p.requires_grad and ".lora_" not in name]
        for number, name in enumerate(self.names):
            self.register_buffer(f"start_{number}", model.get_parameter(name).detach().clone(), persistent=False)

    def forward(self, model: nn.Module) -> Tensor:
        """The distance of `model`, which has to be the one it was made with."""
        terms = [
            (model.get_parameter(name) - self.get_buffer(f"start_{number}")).square().sum()
            for number, name in enumerate(self.names)
        ]
        for layer in model.modules():
            if isinstance(layer, LoraLayer):
                terms.append(_added_square(layer))
        return torch.stack(terms).sum() if terms else torch.zeros(())


def _added_square(layer: LoraLayer) -> Tensor:
    """The squared norm of what an update adds to its weight."""
    down: Tensor = layer.lora_A["default"].weight  # (r, in)
    up: Tensor = layer.lora_B["default"].weight  # (out, r)
    scaling: float = layer.scaling["default"]
    return ((up.T @ up) * (down @ down.T)).sum() * scaling**2
