"""The tokenizer and the corpus that a config of `lm pretrain` asks for."""

from pathlib import Path

from transformers import GPT2TokenizerFast, PreTrainedTokenizerFast

from ...datasets.corpora import END_OF_TEXT, Corpus, check_length, corpus_parts, load_corpus, train_tokenizer
from ...datasets.errors import UserError
from ...datasets.storage import write_json, write_text
from ...datasets.synthetic import MARKOV, markov_corpus, shuffle_tokens
from .checkpoints import load_tokenizer
from .pretrain_config import PretrainConfig


def pretraining_text(config: PretrainConfig, output: Path) -> tuple[GPT2TokenizerFast, Corpus]:
    """The tokenizer, which is put into the folder `output` unless it is there, and the corpus in its tokens.

    Raises a `UserError` before anything is written if they do not fit each other or can't be had.
    """
    if (output / "tokenizer_config.json").is_file():
        tokenizer = _stored(output)
        return tokenizer, _corpus(config, tokenizer)
    tokenizer = _borrowed(config) if config.tokenizer else _made(config)
    corpus = _corpus(config, tokenizer)
    _store(tokenizer, output, config.context)
    return _stored(output), corpus


def _corpus(config: PretrainConfig, tokenizer: PreTrainedTokenizerFast) -> Corpus:
    if config.corpus == MARKOV:
        corpus = markov_corpus(tokenizer, config.markov_states, config.markov_temperature, config.seed)
    else:
        corpus = load_corpus(config.corpus, tokenizer)
    check_length(corpus, config.context, "--context ")
    return shuffle_tokens(corpus, config.seed) if config.order == "shuffled" else corpus


def _borrowed(config: PretrainConfig) -> PreTrainedTokenizerFast:
    tokenizer = load_tokenizer(config.tokenizer)
    if len(tokenizer) != config.vocabulary:
        raise UserError(
            f"the tokenizer of '{config.tokenizer}' has {len(tokenizer)} tokens, not {config.vocabulary}; "
            f"add --vocabulary {len(tokenizer)}"
        )
    return tokenizer


def _made(config: PretrainConfig) -> GPT2TokenizerFast:
    if config.corpus == MARKOV:
        raise UserError("corpus 'markov' has no text to make a tokenizer from; add --tokenizer gpt2-mini")
    train, _, _ = corpus_parts(config.corpus)
    return train_tokenizer(train, config.vocabulary, config.context)


def _store(tokenizer: PreTrainedTokenizerFast, output: Path, context: int) -> None:
    write_text(output / "tokenizer.json", tokenizer.backend_tokenizer.to_str())
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    about = {"tokenizer_class": "GPT2Tokenizer", "model_max_length": context, **special}
    write_json(output / "tokenizer_config.json", about)  # last: it says that both are there


def _stored(output: Path) -> GPT2TokenizerFast:
    return GPT2TokenizerFast.from_pretrained(output, local_files_only=True)
