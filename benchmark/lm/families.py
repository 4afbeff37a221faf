"""Families of language models, a row each: how a checkpoint is read, adapted and made to read trajectories.

Nothing else asks which family a model is of. A new one is a row here and a backbone in `backbones.py`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transformers import (
    BertModel,
    GPT2LMHeadModel,
    GPT2TokenizerFast,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaModel,
)

from .backbones import EncoderBackbone, GPT2Backbone, LanguageBackbone, LlamaBackbone
from .config_values import ACTIVATION, BASE, EVERY, FLAG, INNER, PADDING, ROPE, SHARE, SIZE, Kind
from .gpt2 import split_projections
from .llama import PROJECTIONS, join_projections


@dataclass(frozen=True)
class Layout:
    """The form of a family's published files; the sizes are the names that its config has for them."""

    prefix: str  # of tensors' names, which files have or leave out
    extra: re.Pattern[str]  # tensors that are no part of the model here: masks of older versions, poolers, heads
    width: str = "hidden_size"
    heads: str = "num_attention_heads"
    layers: str = "num_hidden_layers"
    head: str = ""  # the tensor of the language head; "" where none is read
    tied_to: str = ""  # the embedding that it is, unless the config says otherwise


@dataclass(frozen=True)
class Family:
    """Language models of one `model_type`, transformers' word for it."""

    title: str
    model: Any  # transformers' class
    tokenizer: Any  # transformers' class; None where it is of a kind that is not read here
    layout: Layout
    values: Mapping[str, Kind]  # what is read of a config; transformers' defaults stand in for what is absent
    predicts_words: bool  # the next one, from those before it
    backbone: Callable[[Any], LanguageBackbone]  # of a model, which is changed in place
    blocks: str  # the list of its layers, in the model without a head
    positions: str  # the module of its position embeddings; "" where positions turn queries and keys instead
    # Layers that can have updates, by the ends of their names: of queries, keys and values, once each is a layer of its
    # own; and what more there is for each choice of `LaMoConfig.lora_targets`.
    projections: tuple[str, str, str]
    more_targets: Mapping[str, tuple[str, ...]]
    parts: Mapping[str, str]  # patterns in its tensors' names, by the part of the network that they belong to
    subwords: str = "BPE"  # how its tokenizer cuts words, in the words of tokenizer.json
    fused: str = ""  # the layer that checkpoints have for all three; "" where each has its own
    # Lays queries, keys and values out for updates, and makes what else is updated linear.
    split: Callable[[Any, Sequence[str]], None] | None = None
    unused_positions: Callable[[Any], int] = lambda config: 0  # of `max_position_embeddings`
    config: dict[str, Any] = field(default_factory=dict)  # what of a checkpoint's config is changed
    arguments: dict[str, Any] = field(default_factory=dict)  # for the class

    def seen_at_once(self, config: Any) -> int:
        """The number of tokens that a model of this config sees at once."""
        return int(config.max_position_embeddings) - self.unused_positions(config)


# A "decoder" is transformers' word for a causal mask, which costs nothing: attention is told, and no mask is made.
# The pooler summarises a sentence from its first token, which under the mask has seen nothing else.
_ENCODER: dict[str, Any] = {
    "predicts_words": False,
    "backbone": EncoderBackbone,
    "blocks": "encoder.layer",
    "positions": "embeddings.position_embeddings",
    "projections": ("query", "key", "value"),
    "more_targets": {
        "qkv": (),
        "attention": ("attention.output.dense",),
        "all": ("attention.output.dense", "intermediate.dense", "output.dense"),
    },
    "parts": {
        "biases of queries, keys, values": r"\.(query|key|value)(\.\w+)*\.bias$",
        "queries, keys, values": r"\.(query|key|value)\.",
        "layer norms": r"LayerNorm",
        "rest of attention": r"\.attention\.",
        "feed-forward layers": r"\.(intermediate|output)\.dense",
        "position embeddings": r"position_embeddings",
        "token type embeddings": r"token_type_embeddings",
    },
    "config": {"is_decoder": True},
    "arguments": {"add_pooling_layer": False},
}

_ENCODER_EXTRA = r"embeddings\.(position|token_type)_ids|pooler\..*|classifier\..*|qa_outputs\..*"
_ENCODER_VALUES: dict[str, Kind] = EVERY | {
    **dict.fromkeys(("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"), SIZE),
    **dict.fromkeys(("max_position_embeddings", "type_vocab_size"), SIZE),
    **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps"), SHARE),
    "hidden_act": ACTIVATION,
}

FAMILIES = {
    "gpt2": Family(
        "GPT-2",
        GPT2LMHeadModel,
        GPT2TokenizerFast,
        Layout(
            "transformer.",
            re.compile(
                r"h\.\d+\.attn\.(masked_)?bias|lm_head\.weight|(score|classifier|qa_outputs|multiple_choice_head)\..*"
            ),
            *("n_embd", "n_head", "n_layer"),
            head="lm_head.weight",
            tied_to="transformer.wte.weight",
        ),
        values=EVERY
        | {
            **dict.fromkeys(("n_positions", "n_embd", "n_layer", "n_head"), SIZE),
            **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop", "layer_norm_epsilon"), SHARE),
            **dict.fromkeys(("scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"), FLAG),
            "n_inner": INNER,
            "activation_function": ACTIVATION,
        },
        predicts_words=True,
        backbone=GPT2Backbone,
        blocks="h",
        positions="transformer.wpe",
        projections=("q", "k", "v"),
        more_targets={
            "qkv": (),
            "attention": ("attn.c_proj",),
            "all": ("attn.c_proj", "mlp.c_fc", "mlp.c_proj"),
        },
        parts={
            "biases of queries, keys, values": r"c_attn(\.\w+)*\.bias$",
            "queries, keys, values": r"c_attn",
            "layer norms": r"\.ln_",
            "rest of attention": r"\.attn\.",
            "feed-forward layers": r"\.mlp\.",
            "token embeddings (tied to the output)": r"\.wte\.",
            "position embeddings": r"\.wpe\.",
        },
        fused="c_attn",
        split=split_projections,
    ),
    "llama": Family(
        "Llama",
        LlamaForCausalLM,
        PreTrainedTokenizerFast,  # which splits a text as its file says: not all do it as GPT-2
        Layout(
            "model.",
            re.compile(r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq|lm_head\.weight|score\..*"),
            head="lm_head.weight",
            tied_to="model.embed_tokens.weight",
        ),
        values=EVERY
        | {
            **dict.fromkeys(("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"), SIZE),
            **dict.fromkeys(("num_key_value_heads", "head_dim"), INNER),
            **dict.fromkeys(("rms_norm_eps", "attention_dropout"), SHARE),
            **dict.fromkeys(("attention_bias", "mlp_bias"), FLAG),
            **dict.fromkeys(("rope_parameters", "rope_scaling"), ROPE),
            "rope_theta": BASE,
            "max_position_embeddings": SIZE,
            "hidden_act": ACTIVATION,
        },
        predicts_words=True,
        backbone=LlamaBackbone,
        blocks="layers",
        positions="",
        projections=PROJECTIONS,
        more_targets={
            "qkv": (),
            "attention": ("o_proj",),
            "all": ("o_proj", "gate_proj", "up_proj", "down_proj"),
        },
        parts={
            "biases of queries, keys, values": r"\.[qkv]_proj(\.\w+)*\.bias$",
            "queries, keys, values": r"\.[qkv]_proj\.",
            "layer norms": r"layernorm|model\.norm\.",
            "rest of attention": r"\.self_attn\.",
            "feed-forward layers": r"\.mlp\.",
            "token embeddings (tied to the output)": r"\.embed_tokens\.",
            "output layer": r"\.lm_head\.",
        },
        split=join_projections,
    ),
    "bert": Family(
        "BERT",
        BertModel,
        PreTrainedTokenizerFast,
        Layout("bert.", re.compile(rf"{_ENCODER_EXTRA}|cls\..*")),
        values=_ENCODER_VALUES,
        subwords="WordPiece",
        **_ENCODER,
    ),
    # RoBERTa counts positions from behind its padding's, and its tokenizer is of GPT-2's kind.
    "roberta": Family(
        "RoBERTa",
        RobertaModel,
        GPT2TokenizerFast,
        Layout("roberta.", re.compile(rf"{_ENCODER_EXTRA}|lm_head\..*")),
        values=_ENCODER_VALUES | {"pad_token_id": PADDING},
        unused_positions=lambda config: config.pad_token_id + 1,
        **_ENCODER,
    ),
}


def family_of(language_model: Any) -> Family:
    """The family of a model that was loaded as one of them."""
    return FAMILIES[language_model.config.model_type]


def positions_of(config: Any) -> int:
    """The number of tokens that a model of this config sees at once."""
    return FAMILIES[config.model_type].seen_at_once(config)


def as_backbone(language_model: Any) -> LanguageBackbone:
    """A backbone of `language_model`, which is changed in place."""
    return family_of(language_model).backbone(language_model)
