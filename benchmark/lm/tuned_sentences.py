"""Choose the weights of a language model that are trained while it reads sentences."""

from ...datasets.errors import UserError
from .adapters import add_lora
from .sentences import SentenceEncoder, blocks_of


def train_top(encoder: SentenceEncoder, layers: int) -> None:
    """Let the last so many layers learn; what an encoder's layers below them give is kept of sentences that come again.

    A `UserError` if the model has fewer.
    """
    blocks = blocks_of(encoder.model)
    check_layers(layers, len(blocks))
    for block in blocks[len(blocks) - layers :]:
        block.requires_grad_(True)
    if encoder.reads_both_ways:
        encoder.below = len(blocks) - layers


def check_layers(asked: int, there: int) -> None:
    """Raise a `UserError` if more layers were asked for than the language model has."""
    if asked > there:
        raise UserError(f"adaptation.layers is {asked}, and the language model has {there}; give as many or fewer")


def train_all(encoder: SentenceEncoder) -> None:
    """Let all weights learn that a sentence's vector depends on."""
    encoder.base.requires_grad_(True)


def train_updates(encoder: SentenceEncoder, rank: int, alpha: float) -> None:
    """Give queries, keys and values low-rank updates that learn, and their biases (`adapters.add_lora`)."""
    add_lora(encoder.model, "separate", rank, alpha, dropout=0.0)
