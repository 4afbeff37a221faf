import bz2
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets.environments.nethack_game import Game
from lamobench.datasets.environments.nethack_screens import Screens
from lamobench.datasets.errors import UserError
from lamobench.datasets.sources import ttyrec
from lamobench.datasets.sources.ttyrec import ENDING, keys_of, screens_of
from lamobench.tests.datasets.environments.nethack import needs_nethack

Frame = tuple[int, bytes]  # its channel and content


def packed(frames: Sequence[Frame]) -> bytes:
    return b"".join(struct.pack("<iiIB", 1, 2, len(content), channel) + content for channel, content in frames)


def write(path: Path, frames: Sequence[Frame]) -> Path:
    path.write_bytes(bz2.compress(packed([*frames, (0, b"the end")])))
    return path


def on_level(depth: int, key: bytes) -> list[Frame]:
    """A screen whose last line has the dungeon level, and the key that is pressed at it."""
    return [(0, b"\x1b[24;1HDlvl:%d T:1" % depth), (2, struct.pack("<i", 10 * depth)), (1, key)]


@pytest.mark.parametrize("block", [50, 1 << 18])
def test_a_recorded_game_is_read_as_it_was_seen(tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_nethack()
    monkeypatch.setattr(ttyrec, "BLOCK", block)
    game = Game(tmp_path / "games")
    game.begin(5)
    rng = np.random.default_rng(0)
    seen = []
    pressed = []
    while len(pressed) < 600 and not game.ended:
        seen.append(game.observation())
        pressed.append(int(rng.choice(game.keys[:20])))
        game.press(pressed[-1])
    game.quit()
    game.close()
    (path,) = (tmp_path / "games").glob(f"*{ENDING}")
    assert keys_of(path)[: len(pressed)].tolist() == pressed
    assert len(keys_of(path)) > len(pressed)  # those of quitting
    assert keys_of(path, 7).tolist() == pressed[:7]
    chunks = list(screens_of(path, len(pressed)))
    assert len(chunks) == 3
    np.testing.assert_array_equal(np.concatenate([screens.observations() for screens, _ in chunks]), np.stack(seen))
    assert np.concatenate([keys for _, keys in chunks]).tolist() == pressed


def test_frames_that_are_made_by_hand_are_read(tmp_path: Path) -> None:
    needs_nethack()
    path = write(tmp_path / "game", [*on_level(1, b"j"), *on_level(2, b"k")])
    ((screens, keys),) = screens_of(path)
    assert isinstance(screens, Screens)
    assert bytes(screens.characters[1, 23, :6]) == b"Dlvl:2"
    assert keys.tolist() == [ord("j"), ord("k")]
    assert screens.keys_before.tolist() == [0, ord("j")]


def test_a_key_that_nothing_follows_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "game"
    path.write_bytes(bz2.compress(packed([*on_level(1, b"j"), *on_level(2, b"k")])))
    assert keys_of(path).tolist() == [ord("j")]
    needs_nethack()
    assert [keys.tolist() for _, keys in screens_of(path)] == [[ord("j")]]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"no bzip2 at all", "Invalid data stream"),
        (bz2.compress(packed(on_level(1, b"j")))[:-9], "Compressed file ended"),
        (bz2.compress(packed(on_level(1, b"j"))[:-1]), "its last frame is cut off"),
        (bz2.compress(packed([(1, b"j")])[:9]), "its last frame is cut off"),
        (bz2.compress(packed([(1, b"jk")])), "after 0 bytes there is a frame of channel 1 and 2 bytes"),
        (bz2.compress(packed([(2, b"")])), "a frame of channel 2 and 0 bytes"),
        (bz2.compress(packed([(7, b"j")])), "a frame of channel 7"),
        (bz2.compress(struct.pack("<iiIB", 0, 0, 2**32 - 1, 0)), "a frame of channel 0 and 4294967295 bytes"),
        (bz2.compress(packed([(0, b" " * 60_000)] * 20)), "unpacked, it has more than 1 MB"),
    ],
)
def test_a_file_that_is_no_recording_gets_a_line(
    tmp_path: Path, content: bytes, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ttyrec, "MOST_UNPACKED", 1_000_000)
    path = tmp_path / f"game{ENDING}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=line) as caught:
        keys_of(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / f"game{ENDING}"
    with path.open("wb") as file:
        file.truncate(65_000_000)
    with pytest.raises(UserError, match="more than the 64 MB that such a file may have"):
        keys_of(path)
