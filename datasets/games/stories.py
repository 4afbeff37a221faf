"""Story files of the user's own, for the Z-machine: checked before any of it is run, kept by name and by content.

A file says what it is in its first 64 bytes (The Z-Machine Standards Document 1.1, section 11).
"""

import hashlib
import re
from pathlib import Path

from ..errors import UserError
from ..file_checks import MB, check_regular_file
from ..storage import home, plain_disk_errors, whole_file

PREFIX = "story-"  # of the names of such games
SCALES = {3: 2, 5: 4, 8: 8}  # the versions that are played, and the unit in which a file of each tells its length
HEADER = 64  # bytes
MOST = MB  # bytes; no version can have more than 512 KiB
# In a header: the addresses of high memory, the first instruction, dictionary, objects, globals and static memory.
ADDRESSES = (0x04, 0x06, 0x08, 0x0A, 0x0C, 0x0E)
LENGTH = 0x1A
CHECKSUM = 0x1C


def story_path(name: str) -> Path:
    """The file of a story, whether or not it is there."""
    return home() / "games" / "stories" / f"{name}.story"


def import_story(name: str, source: Path, force: bool = False) -> Path:
    """Keep a story file as the game of that name, which begins with `PREFIX`; returns where it is.

    A `UserError`, and nothing is changed, if the name won't do or is taken, or if it is no story that can be played.
    """
    if not re.fullmatch(rf"{PREFIX}[a-z0-9][a-z0-9._-]*", name):
        raise UserError(f"'{name}' is no name for a story; give one like {PREFIX}zork1, in small letters")
    path = story_path(name)
    content = read_story(source)
    if path.exists() and not force and path.read_bytes() != content:
        raise UserError(f"another story is '{name}' already; give --force to put this one in its place")
    with plain_disk_errors(), whole_file(path) as temporary:
        temporary.write_bytes(content)
    return path


def remove_story(name: str) -> Path:
    """Delete a story; returns the file that is gone. A `UserError` if it is not there."""
    path = story_path(name)
    if not path.is_file():
        raise UserError(f"there is no story '{name}' here")
    path.unlink()
    return path


def story_hash(name: str) -> str:
    """SHA-256 of a story that is at hand; a `UserError` if it is not one that can be played."""
    path = story_path(name)
    return hashlib.sha256(read_story(path, path.parent)).hexdigest()


def read_story(path: Path, folder: Path | None = None) -> bytes:
    """The bytes of a story file, all of them checked; a link must not lead out of `folder`, if one is given.

    A `UserError` for what is no story, is damaged, or is for another version of the Z-machine.
    """
    check_regular_file(path, MOST, folder)
    content = path.read_bytes()
    if len(content) < HEADER or content[0] not in SCALES:
        versions = ", ".join(map(str, SCALES))
        raise UserError(f"{path} is no story for the Z-machine of version {versions}; give a file like zork1.z5")
    length = SCALES[content[0]] * _word(content, LENGTH) or len(content)  # the oldest files do not tell it
    if length > len(content):
        raise UserError(f"{path} says that it has {length} bytes, and has {len(content)}; copy it again")
    if any(not HEADER <= _word(content, place) < length for place in ADDRESSES):
        raise UserError(f"{path} is no story: an address in its header can't be right; copy it again")
    checksum = _word(content, CHECKSUM)
    if checksum and checksum != sum(content[HEADER:length]) % 0x10000:
        raise UserError(f"{path} is damaged: its bytes have another sum than it says; copy it again")
    return content


def _word(content: bytes, place: int) -> int:
    return int.from_bytes(content[place : place + 2], "big")
