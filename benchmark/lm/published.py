"""Published language models, by name: the repositories on Hugging Face's Hub that they are fetched from."""

from ...datasets.hub import Repository

PUBLISHED = {
    "gpt2": Repository("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
    "gpt2-medium": Repository("openai-community/gpt2-medium", "6dcaa7a952f72f9298047fd5137cd6e4f05f41da"),
}
PUBLISHED_FAMILY = "gpt2"  # of all of these
