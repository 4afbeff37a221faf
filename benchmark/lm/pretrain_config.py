"""Options of `lamobench lm pretrain`; apart from `pretrain`, so that the command line can show them without PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PretrainConfig:
    """Corpus, size and optimiser of a small GPT-2; the defaults made the embedded `gpt2-mini`."""

    # "docs" (documentation of the installed packages), "wikitext-2", "wikitext-103", the path of a UTF-8 text file, or
    # "markov": no language, but a random one-step Markov chain over the tokens
    corpus: str = "docs"
    order: str = "natural"  # of the corpus's tokens; "shuffled" keeps their frequencies and nothing else
    tokenizer: str = ""  # a language model whose tokenizer is used; empty: one is made from the corpus
    vocabulary: int = 4096  # tokens of the byte-level BPE, the end-of-text token included
    markov_states: int = 100  # of corpus "markov", each a token; Wang et al. (2023), their code's default
    markov_temperature: float = 1.0  # of its transitions' softmax; the lower, the more there is to learn; likewise
    layers: int = 4  # transformer blocks
    width: int = 128  # size of the residual stream; a multiple of `heads`
    heads: int = 4  # attention heads
    context: int = 256  # tokens of one block, and the number of position embeddings
    batch_size: int = 8  # blocks of a step
    steps: int = 7_500  # optimiser steps; the cosine ends here
    stop_at: int = 0  # early-stopped: only so many of the steps, on the schedule of all of them; 0: all
    learning_rate: float = 4e-3  # AdamW's, at its peak; at 400 steps 3e-3 and 6e-3 were equal and 1.5e-3 was worse
    final_learning_rate: float = 0.05  # share of the peak that is left at the last step
    warmup_steps: int = 200  # steps of linear warm-up
    weight_decay: float = 0.1  # AdamW's, on matrices and embeddings only
    gradient_clip: float = 1.0  # largest norm of the whole gradient
    dropout: float = 0.0  # in embeddings, attention and residuals; also what the saved config.json says
    precision: str = "auto"  # "float32", "bfloat16" (autocast) or "auto": bfloat16 where the processor computes in it
    attention: str = "eager"  # transformers' kernel, "eager" or "sdpa"; on a CPU eager is a little faster in bfloat16
    device: str = "cpu"  # "cpu" or "cuda"
    seed: int = 0  # of the initial weights, the batches and dropout
    storage: str = "float32"  # of the saved weights; "float16" halves the file: they are rounded, then measured
    checkpoint_every: int = 250  # steps between checkpoints; the held-out loss is looked at each time

    @property
    def last_step(self) -> int:
        """The number of steps that are run."""
        return min(self.stop_at or self.steps, self.steps)
