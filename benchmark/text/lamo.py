"""LaMo on text: a language model that continues recorded games by the command that leads to the wanted return.

Where LaMo (Shi et al. 2024, arXiv 2310.20587) embeds returns, observations and actions as vectors, all three are words
here: one sequence of tokens (`prompts.py`), read by the language model as it reads any text, with low-rank updates as
the only thing that is trained. A command is as likely as its words are to follow, among those that the game takes.
Shapes: B windows, L tokens of the longest, D width, C commands, M tokens of the longest.
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
from ...baselines.online.agent import first_weights
from ...baselines.optimizers import load_moments, moments
from ...datasets.games.players import Episode, OpenEpisode
from ..lm.adapters import add_lora, use_fast_layers
from ..lm.checkpoints import load_language_model, load_tokenizer
from ..lm.families import as_backbone, positions_of
from ..lm.sentences import first_token
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
    learning_rate: Positive = 3e-3  # of 1e-3 to 1e-2, on seed 1000 and five games of tidy-easy: the lowest loss
    temperature: Positive = 1.0  # of the softmax over commands in evaluations; 1 is what was learned
    gradient_clip: Amount = 0.25  # norm of all gradients together; LaMo, published code
    batch_size: Count = 8  # windows of K moves


@dataclass(frozen=True)
class Window:
    """A recorded stretch of moves: tokens, and where the commands among them stand, each after something."""

    tokens: Tensor  # (L,) int64
    commands: tuple[tuple[int, int], ...]  # begin and end


class TextLaMo:
    """The agent: a language model with low-rank updates, its tokenizer, and an optimiser."""

    def __init__(self, config: TextLaMoConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        """`model` has its updates already; nothing else of it is trained. It predicts words."""
        self.config = config
        self.model: Any = model
        self.backbone = as_backbone(model)
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

    def examples(self, episodes: Sequence[Episode]) -> list[Window]:
        """A window for each recorded move, with the moves before it; what is left to win is what was won."""
        return [self._window(episode, move) for episode in episodes for move in range(len(episode.chosen))]

    def loss(self, windows: Sequence[Window]) -> Tensor:
        """The mean over all commands of the windows of -log of the probability of their words."""
        tokens = pad_sequence([window.tokens for window in windows], batch_first=True)  # (B, L)
        hidden = self.backbone(self._embedded(tokens))  # (B, L, D)
        said = torch.zeros_like(tokens, dtype=torch.bool)  # whether a token is a command's
        for row, window in enumerate(windows):
            for begin, end in window.commands:
                said[row, begin:end] = True
        before = hidden[:, :-1][said[:, 1:]]  # a command follows something
        commands = sum(len(window.commands) for window in windows)
        return F.cross_entropy(self._logits(before), tokens[said], reduction="sum") / commands

    def update(self, windows: Sequence[Window], rng: np.random.Generator) -> dict[str, Tensor]:
        """Take one step of the optimiser; returns what it measured. Nothing is drawn."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(windows)
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
        """The logarithm (C,) of the probability that each of the commands' tokens follow the prompt's."""
        past = self.backbone.new_past()
        last = self.backbone.extend(self._embedded(torch.tensor([prompt])), past, NEWEST)  # (1, 1, D)
        past.batch_select_indices(torch.zeros(len(commands), dtype=torch.int64))
        words = pad_sequence([torch.tensor(command) for command in commands], batch_first=True)  # (C, M)
        hidden = self.backbone.extend(self._embedded(words), past)  # (C, M, D)
        before = torch.cat([last.expand(len(commands), 1, -1), hidden[:, :-1]], 1)
        lengths = torch.tensor([len(command) for command in commands])
        there = torch.arange(words.shape[1]) < lengths[:, None]  # (C, M)
        errors = F.cross_entropy(self._logits(before[there]), words[there], reduction="none")
        return -errors.new_zeros(len(commands)).index_add(0, there.nonzero()[:, 0], errors)

    def tensors(self) -> dict[str, Tensor]:
        """All that training changes: updates and moments."""
        kept = {f"policy.{name}": weight.detach().clone() for name, weight in self.tuned.items()}
        return kept | moments(self.optimizer, ADAM)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Come to where an agent of this configuration was when its `tensors` were taken.

        Raises `KeyError`, `ValueError` or `RuntimeError` where they are not those of such an agent.
        """
        with torch.no_grad():
            for name, weight in self.tuned.items():
                weight.copy_(tensors[f"policy.{name}"])
        load_moments(self.optimizer, tensors, ADAM)

    def _window(self, episode: Episode, move: int) -> Window:
        won = episode.score
        scenes = episode.scenes[: move + 1]
        left = [won - scene.score / scene.maximum for scene in scenes]
        prompt = self.prompts.prompt(scenes, episode.chosen[:move], left)
        command = self.prompts.command(scenes[-1].commands[episode.chosen[move]])
        end = len(prompt.tokens)
        return Window(torch.tensor((*prompt.tokens, *command)), (*prompt.commands, (end, end + len(command))))

    @torch.no_grad()
    def _probabilities(self, episode: OpenEpisode) -> Tensor:
        scene = episode.scenes[-1]
        if not scene.commands:
            return torch.zeros(0)
        left = [TARGET - each.score / each.maximum for each in episode.scenes]
        prompt = self.prompts.prompt(episode.scenes, episode.chosen, left)
        scores = self.scores(prompt.tokens, self.prompts.commands(scene))
        return (scores / self.config.temperature).softmax(0)

    def _embedded(self, tokens: Tensor) -> Tensor:
        embedded: Tensor = self.model.get_input_embeddings()(tokens)
        return embedded

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.model.get_output_embeddings()(hidden)
        return logits


def load_text_lamo(settings: TextLaMoConfig, updates: Any, lm: str, weights: str, seed: int) -> TextLaMo:
    """The agent with first weights of its seed; `updates` are `adaptations.Updates`.

    Raises `UserError` as `load_language_model` does.
    """
    model = load_language_model(lm, weights, seed)
    with first_weights(seed):
        add_lora(model, "separate", updates.rank, updates.alpha, dropout=0.0, targets=settings.lora_targets)
    return TextLaMo(settings, model, load_tokenizer(lm))
