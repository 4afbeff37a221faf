"""Read games that NLE recorded: ttyrec files of version 3, packed by bzip2.

A file is a row of frames: seconds and microseconds of their time, their length, their channel (all little-endian, 13
bytes), and as many bytes: what NetHack wrote to the terminal (channel 0), a key (1), or the score (2). NLE's own
converter, which is fast and written in C++, makes screens of them. It is given a file only after the frames were
checked here, and never more of them than there are.
Shapes: T keys of a game, each with the screen that it was pressed at.
"""

import bz2
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..environments.nethack_game import nethack
from ..environments.nethack_screens import COLUMNS, ROWS, Screens
from ..errors import UserError
from ..file_checks import MB, check_regular_file

VERSION = 3
ENDING = ".ttyrec3.bz2"
HEAD = struct.Struct("<iiIB")
KEY = 1
SCORE = 2
LENGTHS = {KEY: 1, SCORE: 4}  # of the channels with one
LONGEST = 1 << 16  # bytes of a frame; a full screen takes some thousand
MOST = 64 * MB  # of a file; a game of 60,000 steps has 1.3 MB
MOST_UNPACKED = 1000 * MB
CHUNK = 256  # screens at a time
BLOCK = 1 << 18  # bytes that are unpacked at a time; more than the longest frame


def keys_of(path: Path, limit: int | None = None) -> NDArray[np.uint8]:
    """The keys (T,) of a recorded game, the first `limit` of them; its frames are checked up to there.

    A key with which a file ends is left out, as NLE's converter does: nobody saw what it led to.
    A `UserError` for a file that is no such recording, or larger than one can be.
    """
    check_regular_file(path, MOST)
    pressed = bytearray()
    last = b""  # key, until a frame follows it
    try:
        for channel, content in _frames(path):
            pressed += last
            if len(pressed) == limit:
                break
            last = content if channel == KEY else b""
    except (OSError, EOFError, ValueError) as error:
        raise UserError(
            f"{path} is no recording of NetHack as NLE makes them ({error}); record or copy it again"
        ) from None
    return np.frombuffer(bytes(pressed), np.uint8)


def screens_of(path: Path, limit: int | None = None) -> Iterator[tuple[Screens, NDArray[np.uint8]]]:
    """The screens of a recorded game and the key that was pressed at each, (T,), `CHUNK` at a time, `limit` in all.

    A `UserError` as of `keys_of`, which has checked it by then.
    """
    keys = keys_of(path, limit)
    converter = nethack("_pyconverter").Converter(ROWS, COLUMNS, VERSION)
    converter.load_ttyrec(str(path))
    for start in range(0, len(keys), CHUNK):
        count = min(CHUNK, len(keys) - start)
        characters = np.zeros((count, ROWS, COLUMNS), np.uint8)
        colours = np.zeros((count, ROWS, COLUMNS), np.int8)
        cursors = np.zeros((count, 2), np.int16)
        pressed = np.zeros(count, np.uint8)
        times = np.zeros(count, np.int64)
        scores = np.zeros(count, np.int32)
        left = converter.convert(characters, colours, cursors, times, pressed, scores)
        chunk = keys[start : start + count]
        if left or not np.array_equal(pressed, chunk):
            raise UserError(f"{path}: NLE reads other keys than the file has; record or copy it again")
        before = np.concatenate([keys[start - 1 : start] if start else np.zeros(1, np.uint8), chunk[:-1]])
        yield Screens(characters, colours.view(np.uint8), cursors.astype(np.uint8), before), chunk


def _frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """The channel and the content of each frame; a `ValueError` for one that can't be."""
    unpacked = 0
    block = b""
    with bz2.open(path) as file:
        while more := file.read(BLOCK):
            block += more
            place = 0
            while len(block) - place >= HEAD.size:
                _, _, length, channel = HEAD.unpack_from(block, place)
                if channel > SCORE or length > LONGEST or LENGTHS.get(channel, length) != length:
                    where = unpacked + place
                    raise ValueError(f"after {where} bytes there is a frame of channel {channel} and {length} bytes")
                end = place + HEAD.size + length
                if end > len(block):
                    break
                yield channel, block[place + HEAD.size : end]
                place = end
            block = block[place:]
            unpacked += place
            if unpacked > MOST_UNPACKED:
                raise ValueError(f"unpacked, it has more than {MOST_UNPACKED // MB} MB")
    if block:
        raise ValueError("its last frame is cut off")
