"""Options of `lamobench lm pretrain`; apart from `pretrain`, so that the command line can show them without PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PretrainConfig:
    """Corpus, size and optimiser of a small GPT-2; the defaults made the embedded `gpt2-mini`."""

    corpus: str = "docs"
    """Corpus: docs (documentation of the installed packages), wikitext-2, wikitext-103, markov or a UTF-8 text file. Of
    these, markov is no language: a random one-step Markov chain over the tokens."""
    order: str = "natural"
    """Order of the corpus's tokens: natural, or shuffled, which keeps their frequencies and nothing else."""
    tokenizer: str = ""
    """Language model whose tokenizer is used; empty: one is made from the corpus."""
    vocabulary: int = 4096
    """Tokens of the byte-level BPE, the end-of-text token included."""
    markov_states: int = 100
    """States of corpus markov, each a token; the default of the code of Wang et al. (2023)."""
    markov_temperature: float = 1.0
    """Temperature of its transitions' softmax, likewise; the lower, the more there is to learn."""
    layers: int = 4
    """Transformer blocks."""
    width: int = 128
    """Size of the residual stream, a multiple of the heads."""
    heads: int = 4
    """Attention heads."""
    context: int = 256
    """Tokens of one block, and the number of position embeddings."""
    batch_size: int = 8
    """Blocks of a step."""
    steps: int = 7_500
    """Optimiser steps; the cosine ends here."""
    stop_at: int = 0
    """Steps to stop at, on the schedule of all of them; 0: all."""
    learning_rate: float = 4e-3
    """Learning rate of AdamW at its peak; at 400 steps 3e-3 and 6e-3 were equal, and 1.5e-3 was worse."""
    final_learning_rate: float = 0.05
    """Share of the peak that is left at the last step."""
    warmup_steps: int = 200
    """Steps of linear warm-up."""
    weight_decay: float = 0.1
    """Weight decay of AdamW, on matrices and embeddings only."""
    gradient_clip: float = 1.0
    """Largest norm of the whole gradient."""
    dropout: float = 0.0
    """Dropout in embeddings, attention and residuals; the saved config.json says the same."""
    precision: str = "auto"
    """Precision: float32, bfloat16 (autocast), or auto, which is bfloat16 where the processor computes in it."""
    attention: str = "eager"
    """Kernel of transformers: eager, or sdpa; on a CPU eager is a little faster in bfloat16."""
    device: str = "cpu"
    """Device: cpu or cuda."""
    seed: int = 0
    """Seed of the initial weights, the batches and dropout."""
    storage: str = "float32"
    """Precision of the saved weights; float16 halves the file: they are rounded, then measured."""
    checkpoint_every: int = 250
    """Steps between checkpoints; the held-out loss is looked at each time."""

    @property
    def last_step(self) -> int:
        """The number of steps that are run."""
        return min(self.stop_at or self.steps, self.steps)
