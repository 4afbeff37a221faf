"""A tokenizer, whose files may come from anybody: read from a copy that holds what was checked alone.

The configuration beside a tokenizer can name other files, and arguments of all kinds; none of these is in the copy.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from ...datasets.errors import UserError
from ...datasets.file_checks import MB
from .checkpoint_folder import check_inside, read_object
from .families import FAMILIES

WHOLE = "tokenizer.json"
VOCABULARY = "vocab.json"
MERGES = "merges.txt"
MOST = 16 * MB  # of one file; GPT-2's have 1 MB
TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "extra_special_tokens", "additional_special_tokens")
READ = {  # of the files beside the vocabulary, what is read
    "tokenizer_config.json": (*TOKENS, "add_prefix_space", "added_tokens_decoder", "model_max_length"),
    "special_tokens_map.json": TOKENS,
}


def read_tokenizer(folder: Path, config: Any, name: str) -> PreTrainedTokenizerFast:
    """The tokenizer in `folder`, of the language model `name` with the given configuration.

    It neither cuts nor pads what it is given. Raises a `UserError` if there is none, if its files are damaged, of
    another kind or lie elsewhere, and if it has a token that the weights don't know.
    """
    family = FAMILIES[config.model_type]
    if family.tokenizer is None:
        raise UserError(f"the tokenizer of '{name}', a {family.title}, is not read here; give another language model")
    try:
        contents = _checked_contents(folder, family.subwords)
    except UserError as error:
        raise UserError(f"the tokenizer of '{name}' can't be read: {error}") from None
    vocabulary = int(config.vocab_size)
    with tempfile.TemporaryDirectory() as copy:
        for file, content in contents.items():
            (Path(copy) / file).write_text(content, encoding="utf-8")
        try:
            tokenizer: PreTrainedTokenizerFast = family.tokenizer.from_pretrained(copy, local_files_only=True)
        except Exception as error:  # tokenizers raises no narrower one
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"the tokenizer of '{name}' in {folder} can't be read ({first}); copy it anew") from None
    last = max(tokenizer.get_vocab().values())
    if last >= vocabulary:
        raise UserError(
            f"the tokenizer of '{name}' has a token {last}, and its weights know those below {vocabulary}; copy both "
            "anew, from the same checkpoint"
        )
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def _checked_contents(folder: Path, subwords: str) -> dict[str, str]:
    """Text by the name of the file, of those that make the tokenizer; of the files beside the vocabulary a part."""
    contents = {}
    if (folder / WHOLE).exists() or subwords == "WordPiece":
        model = read_object(folder, WHOLE, MOST).get("model")
        if not isinstance(model, dict) or model.get("type", "BPE") != subwords:
            wanted = "byte-level BPE, as GPT-2 has it" if subwords == "BPE" else "WordPiece, as BERT has it"
            raise UserError(f"{folder / WHOLE} holds no {wanted}; give another language model")
        _check_vocabulary(folder / WHOLE, model.get("vocab"))
        contents[WHOLE] = (folder / WHOLE).read_text(encoding="utf-8")
    else:
        for file in (VOCABULARY, MERGES):
            if not (folder / file).exists():
                raise UserError(
                    f"{folder} has no {WHOLE}; copy it from where the checkpoint came from, or give another --lm"
                )
        _check_vocabulary(folder / VOCABULARY, read_object(folder, VOCABULARY, MOST))
        check_inside(folder, MERGES, max_bytes=MOST)
        contents |= {file: (folder / file).read_text(encoding="utf-8") for file in (VOCABULARY, MERGES)}
    for file, keys in READ.items():
        if (folder / file).exists():
            found = read_object(folder, file, MOST)
            contents[file] = json.dumps({key: found[key] for key in keys if key in found})
    return contents


def _check_vocabulary(file: Path, vocabulary: Any) -> None:
    """Refuse what is no table from text to numbers from 0, each once."""
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise UserError(f"{file} holds no vocabulary; copy it anew")
    if not all(type(number) is int and number >= 0 for number in vocabulary.values()):
        raise UserError(f"{file} has tokens whose numbers are not whole numbers from 0; copy it anew")
    if len(set(vocabulary.values())) < len(vocabulary):
        raise UserError(f"{file} gives one number to two tokens; copy it anew")
