"""What a language model is to LaMo: it maps embedded tokens to hidden states, each from the tokens up to its own.

GPT-2 does so by itself. An encoder of the BERT family was pre-trained to look both ways; under a causal mask it reads a
trajectory as it reads the beginning of a sentence. The mask is the one thing that is changed: embeddings enter where
its words did, with its own positions, token type 0 and LayerNorm.

Shapes: B batch, L tokens, R of them that are read, D width.
"""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from transformers import BertModel, DynamicCache, GPT2LMHeadModel, RobertaModel

from ...baselines.acting import Past
from ...baselines.transformer import EVERY, KeysAndValues
from .gpt2 import read_tokens


@dataclass(frozen=True)
class Family:
    """How checkpoints of one `model_type` are read."""

    model: Any  # transformers' class
    config: dict[str, Any] = field(default_factory=dict)  # what of the checkpoint's config is changed
    arguments: dict[str, Any] = field(default_factory=dict)  # for the class


# A "decoder" is transformers' word for a causal mask, which costs nothing: attention is told, and no mask is made.
# The pooler summarises a sentence from its first token, which under the mask has seen nothing else.
_ENCODER = {"config": {"is_decoder": True}, "arguments": {"add_pooling_layer": False}}
FAMILIES = {
    "gpt2": Family(GPT2LMHeadModel),
    "bert": Family(BertModel, **_ENCODER),
    "roberta": Family(RobertaModel, **_ENCODER),
}
ENCODERS = ("bert", "roberta")


class Backbone(nn.Module):
    """An adapted language model behind the interface of any backbone."""

    def __init__(self, language_model: Any) -> None:
        super().__init__()
        self.language_model = language_model

    @property
    def transformer(self) -> Any:
        """The language model without a head."""
        return self.language_model

    def forward(self, tokens: Tensor, read: slice = EVERY) -> Tensor:
        """Map embedded tokens (B, L, D) to the outputs (B, R, D) at those `read`.

        Position embeddings are the model's own, as in pre-training.
        """
        hidden: Tensor = self.transformer(inputs_embeds=tokens, use_cache=False).last_hidden_state
        return hidden[:, read]

    def begin(self, tokens: Tensor) -> Tensor:
        """Of embedded tokens what stays the same wherever they stand: nothing more, since positions count."""
        return tokens

    def finish(self, begun: Tensor, read: slice = EVERY) -> Tensor:
        """As `forward`."""
        return self(begun, read)  # type: ignore[no-any-return]

    def new_past(self) -> Past:
        """What `extend` keeps of what it has read: nothing yet."""
        past: Past = DynamicCache()
        return past

    def extend(self, tokens: Tensor, past: Any, read: slice = EVERY) -> Tensor:
        """As `forward`, of tokens that follow those read before: they see these too, and join them in `past`."""
        outputs = self.transformer(inputs_embeds=tokens, past_key_values=past, use_cache=True)
        hidden: Tensor = outputs.last_hidden_state
        return hidden[:, read]


class GPT2Backbone(Backbone):
    """GPT-2, by a pass of our own (`gpt2.py`)."""

    def __init__(self, language_model: Any) -> None:
        """GPT-2's activation, the tanh approximation of GELU, is replaced by PyTorch's kernel for the same formula.

        Operation by operation, as transformers has it, it takes a quarter of a step on a CPU.
        """
        super().__init__(language_model)
        if language_model.config.activation_function == "gelu_new":
            for block in language_model.transformer.h:
                block.mlp.act = nn.GELU(approximate="tanh")

    @property
    def transformer(self) -> Any:
        """GPT-2 without its language head."""
        return self.language_model.transformer

    def forward(self, tokens: Tensor, read: slice = EVERY) -> Tensor:
        """As of any backbone."""
        return read_tokens(self.transformer, tokens, None, read)

    def new_past(self) -> KeysAndValues:
        """As of any backbone."""
        return KeysAndValues.of(len(self.transformer.h))

    def extend(self, tokens: Tensor, past: Any, read: slice = EVERY) -> Tensor:
        """As of any backbone."""
        return read_tokens(self.transformer, tokens, past, read)


class EncoderBackbone(Backbone):
    """An encoder, causal."""

    def __init__(self, language_model: Any) -> None:
        """The word embeddings, half of a small encoder, are dropped: it reads no words, and has no head to say any."""
        super().__init__(language_model)
        language_model.set_input_embeddings(None)


def as_backbone(language_model: Any) -> Backbone:
    """A backbone of `language_model`, a model of one of `FAMILIES`, which is changed in place."""
    kind = EncoderBackbone if language_model.config.model_type in ENCODERS else GPT2Backbone
    return kind(language_model)


def positions_of(config: Any) -> int:
    """How many tokens a model of this config sees at once."""
    unused = config.pad_token_id + 1 if config.model_type == "roberta" else 0  # RoBERTa counts from there
    return int(config.max_position_embeddings) - unused
