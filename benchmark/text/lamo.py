"""LaMo on text: a language model that continues recorded games by the command that leads to the wanted return.

Where LaMo (Shi et al. 2024, arXiv 2310.20587) embeds returns, observations and actions as vectors, all three are words
here: one sequence of tokens (`prompts.py`), read by the language model as it reads any text, with low-rank updates as
the only thing that is trained. A command's score is the log probability that its words follow, and the policy is the
softmax over those that the game takes, as in Carta et al. 2023 (arXiv 2302.02662, Section 3.2). A mean over a command's
tokens would be no probability: where commands differ in one token of eight, it hardly tells them apart.
Shapes: L tokens of a prompt, C commands, M tokens of the longest, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ...baselines.fields import Amount, Count, Positive
from ...baselines.networks import copy_all
from ...baselines.online.agent import first_weights
from ...baselines.optimizers import load_moments, moments
from ...datasets.games.players import Episode, OpenEpisode
from ..lm.adapters import add_lora, use_fast_layers
from ..lm.checkpoints import load_language_model, load_tokenizer
from ..lm.families import as_backbone, positions_of
from ..lm.sentences import blocks_of, first_token
from ..training.devices import autocast
from .prompts import Prompts

ADAM = "optimizer.adam"
NEWEST = slice(-1, None)
TARGET = 1.0  # the return that is asked for in evaluations: all of a game's points


@dataclass(frozen=True)
class TextLaMoConfig:
    """Settings; rank and alpha of the updates are those of `adaptations.Updates`."""

    recording: Literal["expert", "medium", "random", "mixed"] = "mixed"  # the player of the recorded games
    context: Count = 3  # K moves, as many of them as the language model sees at once
    # Which layers have updates: where LaMo also trains what embeds and reads out, only they can learn here.
    lora_targets: Literal["qkv", "attention", "all"] = "all"
    learning_rate: Positive = 3e-3  # of this and 1e-2, on seed 1000 and tidy-easy: the lower loss
    temperature: Positive = 1.0  # of the softmax over commands, in learning too
    gradient_clip: Amount = 0.25  # norm of all gradients together; LaMo, published code
    batch_size: Count = 8  # moves, each with those before it


@dataclass(frozen=True)
class RecordedMove:
    """A recorded move as tokens."""

    prompt: tuple[int, ...]  # (L,), with the moves before it
    commands: list[tuple[int, ...]]  # C, which the game took
    chosen: int


class LearnedPast:
    """Keys and values of tokens that were read, through which gradients flow: `KeysAndValues` is for acting alone."""

    def __init__(self, layers: int) -> None:
        self.layers: list[Tensor | None] = [None] * layers  # (2, B, H, L, D / H) each
        self.lengths = [0] * layers

    def extend(self, layer: int, added: Tensor) -> Tensor:
        """Add those of more tokens to a layer's; returns those of all."""
        before = self.layers[layer]
        joined = added if before is None else torch.cat([before, added], -2)
        self.layers[layer] = joined
        self.lengths[layer] = joined.shape[-2]
        return joined

    def repeat(self, times: int) -> None:
        """Put the one row of the batch there so many times."""
        self.layers = [layer if layer is None else layer.expand(-1, times, -1, -1, -1) for layer in self.layers]


class TextLaMo:
    """The agent: a language model with low-rank updates, its tokenizer, and an optimiser."""

    def __init__(
        self,
        config: TextLaMoConfig,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        precision: str = "float32",
    ) -> None:
        """`model` has its updates already; nothing else of it is trained. It predicts words.

        `precision` is of matrix products: "float32", or "bfloat16" autocast.
        """
        self.config = config
        self.precision = precision
        self.model: Any = model
        self.backbone = as_backbone(model)
        self.layers = len(blocks_of(model))
        use_fast_layers(model)
        self.tuned = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.parameters = list(self.tuned.values())
        self.optimizer = torch.optim.Adam(self.parameters, lr=config.learning_rate, fused=True)
        first = first_token(model, tokenizer)
        self.prompts = Prompts(
            lambda text: tokenizer(text, add_special_tokens=False)["input_ids"],
            first,
            positions_of(model.config),
            config.context,
        )

    @property
    def frozen(self) -> int:
        """Number of weights that nothing trains."""
        return sum(weight.numel() for weight in self.model.parameters() if not weight.requires_grad)

    def examples(self, episodes: Sequence[Episode]) -> list[RecordedMove]:
        """The recorded moves, each with the moves before it; what is left to win is what was won."""
        return [self._recorded(episode, move) for episode in episodes for move in range(len(episode.chosen))]

    def loss(self, moves: Sequence[RecordedMove]) -> Tensor:
        """The mean of -log of the policy at what was chosen."""
        errors = [-self.scores(move.prompt, move.commands).log_softmax(0)[move.chosen] for move in moves]
        return torch.stack(errors).mean()

    def update(self, moves: Sequence[RecordedMove], rng: np.random.Generator) -> dict[str, Tensor]:
        """Take one step of the optimiser; returns what it measured. Nothing is drawn."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(moves)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.gradient_clip)
        self.optimizer.step()
        return {"loss": loss.detach(), "gradient_norm": norm}

    def policy(self) -> "TextLaMo":
        """The policy as it is now; it holds until the agent learns."""
        return self

    def __call__(self, episodes: Sequence[OpenEpisode]) -> list[Tensor]:
        """The policy over the commands that each episode has now, where all of the points are wanted."""
        return [self._probabilities(episode) for episode in episodes]

    def scores(self, prompt: Sequence[int], commands: Sequence[Sequence[int]]) -> Tensor:
        """The log probability (C,) of each command's tokens behind the prompt's, divided by T."""
        words = pad_sequence([torch.tensor(command) for command in commands], batch_first=True)  # (C, M)
        lengths = torch.tensor([len(command) for command in commands])
        there = torch.arange(words.shape[1]) < lengths[:, None]  # (C, M)
        with autocast(self.precision, "cpu"):
            logits = self._logits(self._before(prompt, words)[there]).float()
        errors = F.cross_entropy(logits, words[there], reduction="none")
        logs = -errors.new_zeros(len(commands)).index_add(0, there.nonzero()[:, 0], errors)
        return logs / self.config.temperature

    def _before(self, prompt: Sequence[int], words: Tensor) -> Tensor:
        """The hidden states (C, M, D) that commands' tokens (C, M) are predicted from."""
        past = LearnedPast(self.layers)
        last = self.backbone.extend(self._embedded(torch.tensor([prompt])), past, NEWEST)  # (1, 1, D)
        past.repeat(len(words))
        hidden = self.backbone.extend(self._embedded(words), past)  # (C, M, D)
        return torch.cat([last.expand(len(words), 1, -1), hidden[:, :-1]], 1)

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes: updates and moments."""
        kept = {f"policy.{name}": weight.detach().clone() for name, weight in self.tuned.items()}
        return kept | moments(self.optimizer, ADAM)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Come to where an agent of this configuration was when its `tensors` were taken.

        Raises `KeyError`, `ValueError` or `RuntimeError` where they are not those of such an agent.
        """
        self.load_weights(tensors)
        load_moments(self.optimizer, tensors, ADAM)

    def load_weights(self, tensors: Mapping[str, Tensor]) -> None:
        """Come to the policy whose `tensors` these are; further training needs the rest. Raises as `load` does."""
        copy_all(self.tuned, tensors)

    def _recorded(self, episode: Episode, move: int) -> RecordedMove:
        scenes = episode.scenes[: move + 1]
        left = [episode.score - scene.score / scene.maximum for scene in scenes]
        prompt = self.prompts.prompt(scenes, episode.chosen[:move], left)
        return RecordedMove(prompt, self.prompts.commands(scenes[-1]), episode.chosen[move])

    @torch.no_grad()
    def _probabilities(self, episode: OpenEpisode) -> Tensor:
        scene = episode.scenes[-1]
        if not scene.commands:
            return torch.zeros(0)
        left = [TARGET - each.score / each.maximum for each in episode.scenes]
        prompt = self.prompts.prompt(episode.scenes, episode.chosen, left)
        return self.scores(prompt, self.prompts.commands(scene)).softmax(0)

    def _embedded(self, tokens: Tensor) -> Tensor:
        embedded: Tensor = self.model.get_input_embeddings()(tokens)
        return embedded

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.model.get_output_embeddings()(hidden)
        return logits


def load_text_lamo(
    settings: TextLaMoConfig, updates: Any, lm: str, weights: str, seed: int, precision: str = "float32"
) -> TextLaMo:
    """The agent with first weights of its seed; `updates` are `adaptations.Updates`.

    Raises `UserError` as `load_language_model` does.
    """
    model = load_language_model(lm, weights, seed)
    with first_weights(seed):
        add_lora(model, "separate", updates.rank, updates.alpha, dropout=0.0, targets=settings.lora_targets)
    return TextLaMo(settings, model, load_tokenizer(lm), precision)
