"""Vectors of sentences under a language model that stands still, kept for all runs in `$LAMOBENCH_HOME/encodings`.

A folder for each model and precision, by the hash of its weights. A process that met new sentences adds a file; nothing
is changed, so any number of processes can read and write. A file's name is the hash of its content.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ...datasets.errors import UserError
from ...datasets.file_checks import MB, check_regular_file
from ...datasets.storage import home, whole_file
from ..lm.sentences import SentenceEncoder

FORMAT = 3  # raise it when the same weights give other vectors
DIGEST = 16  # bytes of a sentence's BLAKE2b hash
MOST = 512 * MB  # of a file


class Encodings:
    """The vectors (D,) of sentences: read from the disk, or computed."""

    def __init__(self, encoder: SentenceEncoder, weights_hash: str, precision: str = "float32") -> None:
        """`weights_hash` and the precision of its products tell the encoder from all others."""
        self.encoder = encoder
        kind = "" if precision == "float32" else f"-{precision}"
        self.folder = home() / "encodings" / f"{weights_hash[:32]}-{FORMAT}{kind}"
        self.known: dict[bytes, Tensor] = {}
        self.added: dict[bytes, Tensor] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            self.known |= read_vectors(path, encoder.width)

    def __call__(self, pieces: Sequence[str]) -> Tensor:
        """Return the vectors (P, D) of sentences."""
        digests = [hashlib.blake2b(piece.encode(), digest_size=DIGEST).digest() for piece in pieces]
        new = {digest: piece for digest, piece in zip(digests, pieces, strict=True) if digest not in self.known}
        if new:
            vectors = self.encoder.encode_apart(list(new.values()))
            self.added |= zip(new, vectors.unbind(), strict=True)
            self.known |= zip(new, vectors.unbind(), strict=True)
        return torch.stack([self.known[digest] for digest in digests])

    def save(self) -> None:
        """Write what was computed here, if anything was; done again, what came since."""
        if self.added:
            write_vectors(self.folder, self.added)
            self.added = {}


def write_vectors(folder: Path, vectors: Mapping[bytes, Tensor]) -> Path:
    """Add a file of vectors (D,) by digest, whole or not at all; its path."""
    digests = np.frombuffer(b"".join(vectors), np.uint8).reshape(-1, DIGEST)
    content = save({"digests": torch.from_numpy(digests.copy()), "vectors": torch.stack(list(vectors.values()))})
    path = folder / f"{hashlib.sha256(content).hexdigest()}.safetensors"
    with whole_file(path) as temporary:
        temporary.write_bytes(content)
    return path


def read_vectors(path: Path, width: int) -> dict[bytes, Tensor]:
    """The vectors (D,) in a file, by digest; a `UserError` if it is not what was written."""
    check_regular_file(path, MOST)
    content = path.read_bytes()
    again = f"delete it; what it held is computed again: {path}"
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise UserError(f"a file of encoded sentences is damaged; {again}")
    try:
        tensors = load(content)
        digests = tensors["digests"].numpy()
        vectors = tensors["vectors"]
    except (SafetensorError, KeyError) as error:
        raise UserError(f"a file of encoded sentences can't be read ({error}); {again}") from None
    if digests.shape[1:] != (DIGEST,) or vectors.shape != (len(digests), width):
        raise UserError(f"a file of encoded sentences is of another encoder; {again}")
    return {digest.tobytes(): vector for digest, vector in zip(digests, vectors, strict=True)}
