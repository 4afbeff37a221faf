"""The language model as LaMo sees it: a map from embedded tokens to hidden states, each from the tokens up to its own.

GPT-2 does so by itself. An encoder of the BERT family was pre-trained to look both ways; under a causal mask it reads a
trajectory as it reads the beginning of a sentence. The mask is the one thing that is changed: embeddings enter where
its words did, with its own positions, token type 0 and LayerNorm.

Shapes: B batch, L tokens, R of them that are read, D width.
"""

from typing import Any

from torch import Tensor, nn
from transformers import DynamicCache

from ...baselines.trajectory_model import Past
from ...baselines.transformer import EVERY, KeysAndValues
from . import llama
from .gpt2 import read_tokens


class LanguageBackbone(nn.Module):
    """An adapted language model as a backbone (`baselines/trajectory_model.py`)."""

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
        """Return the tokens as they are: positions count, so nothing can be computed before they are known."""
        return tokens

    def finish(self, begun: Tensor, read: slice = EVERY) -> Tensor:
        """Do the same as `forward`."""
        return self(begun, read)  # type: ignore[no-any-return]

    def new_past(self) -> Past:
        """An empty memory for `extend`."""
        past: Past = DynamicCache()
        return past

    def extend(self, tokens: Tensor, past: Any, read: slice = EVERY) -> Tensor:
        """Do the same as `forward` for tokens that follow those in `past`, which they see too; add them to it."""
        outputs = self.transformer(inputs_embeds=tokens, past_key_values=past, use_cache=True)
        hidden: Tensor = outputs.last_hidden_state
        return hidden[:, read]


class GPT2Backbone(LanguageBackbone):
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
        """Do the same as any backbone: (B, L, D) to (B, R, D)."""
        return read_tokens(self.transformer, tokens, None, read)

    def new_past(self) -> KeysAndValues:
        """An empty memory for `extend`."""
        return KeysAndValues.of(len(self.transformer.h))

    def extend(self, tokens: Tensor, past: Any, read: slice = EVERY) -> Tensor:
        """Do the same as any backbone, and add the tokens to `past`."""
        return read_tokens(self.transformer, tokens, past, read)


class LlamaBackbone(LanguageBackbone):
    """Llama and what shares its architecture, by a pass of our own (`llama.py`)."""

    def __init__(self, language_model: Any) -> None:
        """Llama has no dropout modules: one is put in, which trajectories go through where GPT-2 has its own."""
        super().__init__(language_model)
        language_model.model.drop = nn.Dropout(0.0)

    @property
    def transformer(self) -> Any:
        """Llama without its language head."""
        return self.language_model.model

    def forward(self, tokens: Tensor, read: slice = EVERY) -> Tensor:
        """Do the same as any backbone: (B, L, D) to (B, R, D)."""
        return llama.read_tokens(self.transformer, tokens, None, read)

    def new_past(self) -> KeysAndValues:
        """An empty memory for `extend`."""
        return KeysAndValues.of(len(self.transformer.layers))

    def extend(self, tokens: Tensor, past: Any, read: slice = EVERY) -> Tensor:
        """Do the same as any backbone, and add the tokens to `past`."""
        return llama.read_tokens(self.transformer, tokens, past, read)


class EncoderBackbone(LanguageBackbone):
    """An encoder, causal."""

    def __init__(self, language_model: Any) -> None:
        """The word embeddings, half of a small encoder, are dropped: it reads no words, and has no head to say any."""
        super().__init__(language_model)
        language_model.set_input_embeddings(None)
