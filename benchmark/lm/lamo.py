"""LaMo (Shi et al. 2024, arXiv 2310.20587): a Decision Transformer whose backbone is a frozen, pre-trained GPT-2.

Or an encoder of the BERT family under a causal mask, which the paper does not have (`backbones.py`).

What is trained: low-rank updates of every layer's queries, keys and values with their biases (`adapters.py`), the
embeddings of returns, states, actions and timesteps with their LayerNorm, and the action head. Everything else of GPT-2
stays as it was before reinforcement learning. `lamobench train DATA --describe` prints the parts and their sizes.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ...baselines.acting import acting
from ...baselines.fields import Amount, Bounds, Count, Delay, Positive, Share
from ...baselines.policy import Actor, History, OptimizerSettings, Policy, Spec
from ...baselines.trajectory_model import TokenConfig, TrajectoryModel
from ...datasets.corpora import Corpus, sample_blocks
from ...datasets.errors import UserError
from ...datasets.fractions import Subset
from ...datasets.windows import ContextBatch, ContextSampler
from .adapters import WeightDistance, add_lora, use_fast_layers
from .checkpoints import language_loss, next_token_loss, perplexity
from .families import FAMILIES, as_backbone, positions_of

HELD_OUT_BLOCKS = 8  # sequences of English on which forgetting is measured


@dataclass(frozen=True)
class LaMoConfig:
    """Defaults: the paper's Tables 6 and 7 and its published code for D4RL tasks."""

    context: Count = 20  # K, steps of history; Table 6: 20, Reacher2d 5
    embedding: Literal["mlp", "linear"] = "mlp"  # "mlp": residual blocks; "linear" as the paper has it for Hopper
    head: Literal["mlp", "linear"] = "mlp"  # "mlp" without tanh, or "linear" with tanh
    # Whether the embedded tokens' LayerNorm comes before the timestep embedding is added; published code: not on Atari.
    norm_before_time: bool = True
    # Root mean square of what enters the language model when training begins: "published" is 1, a fresh LayerNorm's, as
    # in its code; "words" that of the model's own token embeddings, which is all that it has seen in pre-training.
    input_scale: Literal["published", "words"] = "published"
    return_scale: Positive | None = None  # of returns-to-go; None: the task's, as published for D4RL tasks; Atari 1
    dropout: Share = 0.1  # of GPT-2: attention, residual, embedded tokens; Table 7
    adaptation: Literal["lora", "full", "frozen"] = "lora"  # what of GPT-2 is trained: updates, everything, nothing
    lora_pairs: Literal["separate", "joint"] = (
        "separate"  # one update each for q, k, v; published code: joint for Atari
    )
    lora_targets: Literal["qkv", "attention", "all"] = "qkv"  # which layers are updated: "qkv" as published
    lora_rank: Count = 16  # Table 7; 32 for Atari
    lora_alpha: Amount = 32.0  # the update is scaled by alpha / rank; published code
    lora_dropout: Share = 0.1  # published code
    language_weight: Amount = 0.0  # lambda of Equation 5; 0: no language forward pass at all
    # Other ways to keep what GPT-2 knew, which the paper leaves open; both are 0 there.
    weight_anchor: Amount = 0.0  # weight of the squared distance of GPT-2's weights from the pre-trained ones (L2-SP)
    output_anchor: Amount = 0.0  # weight of the KL divergence from the pre-trained model's predictions, on English
    language_batch: Count = 2  # sequences of English a step; published code
    language_length: Annotated[int, Bounds(2)] = 1024  # tokens of each; published code; cut to the model's own limit
    corpus: str = "docs"  # English for the language loss: a corpus name or a text file; unnamed, the profile's is read
    measure_language: bool = False  # whether forgetting is measured where no loss is computed on English
    learning_rate: Amount = 1e-4  # for everything that is trained: the published code's 1e-5 for language is never used
    weight_decay: Amount = 1e-5
    warmup_steps: Delay = 2500
    decay: Literal["constant", "cosine"] = "constant"  # learning-rate schedule after warm-up, "constant" as published
    gradient_clip: Amount = 0.25
    epsilon: Amount = 1e-6  # AdamW's; published code

    @property
    def needs_english(self) -> bool:
        """Check whether English is read: to learn from it, or to measure what is left of it."""
        return self.learns_english or self.measure_language

    @property
    def learns_english(self) -> bool:
        """Check whether any loss is computed on English."""
        return self.language_weight > 0 or self.output_anchor > 0


@dataclass(frozen=True)
class WikiRLConfig(LaMoConfig):
    """Wiki-RL (Reid et al. 2022) as LaMo compares with it: all of GPT-2 is trained, between linear layers.

    Reid et al. also have a language loss and a pull towards clusters of word embeddings, of which LaMo does not speak.
    """

    embedding: Literal["mlp", "linear"] = "linear"  # LaMo, Section 5.1
    head: Literal["mlp", "linear"] = "linear"
    adaptation: Literal["lora", "full", "frozen"] = "full"


@dataclass(frozen=True)
class LaMoBatch:
    """Windows of trajectories, and English where the language loss is on."""

    contexts: ContextBatch
    language: Tensor | None  # (language_batch, language_length) int64 token ids

    def to(self, device: torch.device) -> "LaMoBatch":
        """The same batch on `device`."""
        return LaMoBatch(self.contexts.to(device), None if self.language is None else self.language.to(device))


@dataclass(frozen=True)
class LaMoSampler:
    """Draw windows, then blocks of the corpus, from one generator."""

    contexts: ContextSampler
    corpus: Corpus | None
    batch: int
    length: int

    def sample(self, batch_size: int, rng: np.random.Generator) -> LaMoBatch:
        """`batch_size` windows; the number of language sequences is the configuration's."""
        contexts = self.contexts.sample(batch_size, rng)
        if self.corpus is None:
            return LaMoBatch(contexts, None)
        return LaMoBatch(contexts, torch.from_numpy(sample_blocks(self.corpus.train, self.batch, self.length, rng)))


class LaMo(Policy):
    """An adapted language model that predicts the data's actions, and English beside them where lambda > 0."""

    def __init__(self, config: LaMoConfig, spec: Spec, language_model: Any, corpus: Corpus | None) -> None:
        """`language_model`: of `load_language_model`; adapted in place.

        `corpus`: English on which forgetting is measured, if any, and to learn from where the language loss is on.
        Raises `UserError` if the context is too long for the language model, or it can't be trained as configured.
        """
        super().__init__()
        self.config = config
        self.context = config.context
        self.view = spec.view
        self.corpus = corpus
        check_trainable(language_model.config.model_type, config)
        positions = positions_of(language_model.config)
        if 3 * config.context > positions:
            raise UserError(
                f"context {config.context} needs {3 * config.context} positions, but the language model has "
                f"{positions}; give a context of at most {positions // 3}"
            )
        self.language_length = min(config.language_length, positions)
        self.initial_model = deepcopy(language_model).requires_grad_(False) if config.output_anchor > 0 else None
        scale = words_scale(language_model) if config.input_scale == "words" else 1.0
        backbone = as_backbone(language_model)
        prepare(language_model, config)
        self.weight_distance = WeightDistance(language_model) if config.weight_anchor > 0 else None
        width = language_model.config.hidden_size
        tokens = TokenConfig(width, config.embedding, config.head, config.norm_before_time)
        if config.return_scale is not None:
            spec = replace(spec, return_scale=config.return_scale)
        self.model = TrajectoryModel(tokens, spec, backbone)
        self.model.scale_inputs(scale)

    @property
    def language_model(self) -> Any:
        """The adapted language model."""
        backbone: Any = self.model.backbone
        return backbone.language_model

    def sampler(self, subset: Subset) -> LaMoSampler:
        """Windows of K steps, with English where the language loss is on."""
        contexts = ContextSampler(subset, self.context, self.view)
        corpus = self.corpus if self.config.learns_english else None
        return LaMoSampler(contexts, corpus, self.config.language_batch, self.language_length)

    def loss(self, batch: LaMoBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Equation 5: the action error plus lambda times the language loss; and the anchors, where they are on."""
        config = self.config
        terms = {"action_error": self.model.action_error(batch.contexts)}
        total = terms["action_error"]
        if batch.language is not None:
            terms |= self._english(batch.language)
        if self.weight_distance is not None:
            terms["weight_distance"] = self.weight_distance(self.language_model)
        weights = (config.language_weight, config.output_anchor, config.weight_anchor)
        for name, weight in zip(("language_loss", "output_divergence", "weight_distance"), weights, strict=True):
            if name in terms:
                total = total + weight * terms[name]
        return total, {name: term.detach() for name, term in terms.items()}

    def _english(self, ids: Tensor) -> dict[str, Tensor]:
        """The losses on English: of predicting it, and of predicting it otherwise than before."""
        logits = self.language_model(input_ids=ids, use_cache=False).logits.float()
        terms = {"language_loss": next_token_loss(logits, ids)}
        if self.initial_model is not None:
            self.initial_model.eval()  # training mode reaches every module: dropout is not what it knew
            with torch.no_grad():
                before = self.initial_model(input_ids=ids, use_cache=False).logits.float()
            divergence = nn.functional.kl_div(
                logits.log_softmax(-1).flatten(0, 1),
                before.log_softmax(-1).flatten(0, 1),
                reduction="batchmean",
                log_target=True,
            )
            terms["output_divergence"] = divergence
        return terms

    def action_loss(self, windows: ContextBatch) -> Tensor:
        """The action error, without a language loss or an anchor."""
        return self.model.action_error(windows)

    def act(self, history: History) -> Tensor:
        """Condition on the target return that is left."""
        return self.model.act(history)

    def begin_episodes(self, cached_context: bool = False) -> Actor:
        """Begin to act in episodes that are played side by side."""
        return acting(self.model, self.context, cached_context)

    def rebuilt(self) -> set[str]:
        """The names of the language model's tensors that are not trained."""
        return {name for name, p in self.named_parameters(remove_duplicate=False) if not p.requires_grad}

    @torch.no_grad()
    def diagnostics(self) -> dict[str, float]:
        """Cross entropy (nats a token) and perplexity on a fixed part of the held-out English: what language is left.

        With `measure_language` also where there is no language loss, to compare both (the paper's Figure 6).
        """
        if self.corpus is None:
            return {}
        device = next(self.parameters()).device
        rng = np.random.default_rng(0)  # the same blocks at every evaluation of every run
        ids = sample_blocks(self.corpus.held_out, HELD_OUT_BLOCKS, self.language_length, rng)
        # one by one: the logits of GPT-2's vocabulary are large
        losses = [language_loss(self.language_model, block.to(device)) for block in torch.from_numpy(ids)[:, None]]
        loss = float(torch.stack(losses).mean())
        return {"held_out_language_loss": loss, "held_out_perplexity": perplexity(loss)}

    def optimizer_settings(self) -> OptimizerSettings:
        """One group: the published code gives everything that is trained one learning rate and decay."""
        c = self.config
        trained = [p for p in self.parameters() if p.requires_grad]
        group = {"params": trained, "lr": c.learning_rate, "weight_decay": c.weight_decay}
        return OptimizerSettings([group], c.gradient_clip, c.warmup_steps, c.decay, c.epsilon)


def words_scale(language_model: Any) -> float:
    """The root mean square of a language model's token embeddings."""
    return float(language_model.get_input_embeddings().weight.detach().float().square().mean().sqrt())


def prepare(language_model: Any, config: LaMoConfig) -> None:
    """Set a language model's dropout, choose what of it is trained, and make it fast."""
    for module in language_model.modules():
        if isinstance(module, nn.Dropout):
            module.p = config.dropout
    language_model.requires_grad_(config.adaptation == "full")
    if config.adaptation == "lora":
        c = config
        add_lora(language_model, c.lora_pairs, c.lora_rank, c.lora_alpha, c.lora_dropout, c.lora_targets)
    use_fast_layers(language_model)


def check_trainable(model_type: str, config: LaMoConfig) -> None:
    """Raise a `UserError` if a language model of that type can't be trained as configured."""
    family = FAMILIES[model_type]
    for field, off in (("language_weight", "0"), ("output_anchor", "0"), ("measure_language", "false")):
        if (value := getattr(config, field)) and not family.predicts_words:
            raise UserError(
                f"{field} {value}: a language model of type '{model_type}' is an encoder and predicts no next word; "
                f"give --set {field}={off}, or a GPT-2 as --lm"
            )
    if config.adaptation == "lora" and config.lora_pairs == "joint" and not family.fused:
        raise UserError(
            f"lora_pairs 'joint': queries, keys and values of a language model of type '{model_type}' are layers of "
            "their own; add --set lora_pairs=separate, or give a GPT-2 as --lm"
        )
