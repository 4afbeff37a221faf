import numpy as np

from lamobench.datasets.environments.nethack_screens import KEY, NAMES, SIZE, Screens, numbers_in, numbers_of


def screen(*bottom: str) -> np.ndarray:
    lines = np.full((24, 80), ord(" "), np.uint8)
    for row, text in zip((22, 23), (line[:80] for line in bottom), strict=True):
        lines[row, : len(text)] = np.frombuffer(text.encode(), np.uint8)
    return lines


def test_the_bottom_lines_are_read() -> None:
    seen = screen(
        "Agent the Candidate            St:18/03 Dx:17 Co:11 In:9 Wi:16 Ch:10 Neutral S:12",
        "Dlvl:3 $:250 HP:-1(14) Pw:5(6) AC:-4 Xp:2/31 T:1234 Hungry Conf",
    )
    numbers = dict(zip(NAMES, numbers_of(seen).tolist(), strict=True))
    assert numbers == {
        "St": 18, "Dx": 17, "Co": 11, "In": 9, "Wi": 16, "Ch": 10, "Dlvl": 3, "$": 250, "HP": -1, "HP/": 14,
        "Pw": 5, "Pw/": 6, "AC": -4, "Xp": 2, "Xp/": 31, "T": 1234, "conditions": 0b100001,
    }  # fmt: skip


def test_what_a_menu_hides_is_zero() -> None:
    assert not numbers_of(screen("", "")).any()


def test_a_number_that_is_too_large_is_cut() -> None:
    seen = dict(zip(NAMES, numbers_of(screen("", "Dlvl:1 $:9999999999 HP:-9999999999(5)")).tolist(), strict=True))
    assert (seen["$"], seen["HP"], seen["HP/"]) == (2**31 - 1, 1 - 2**31, 5)


def test_an_observation_holds_a_screen_and_the_key_before_it() -> None:
    rng = np.random.default_rng(0)
    characters = rng.integers(32, 127, (3, 24, 80), np.uint8)
    characters[1, 23, :10] = np.frombuffer(b"Dlvl:7 T:9", np.uint8)
    colours = rng.integers(0, 16, (3, 24, 80), np.uint8)
    cursors = np.array([[1, 2], [3, 79], [23, 0]], np.uint8)
    packed = Screens(characters, colours, cursors, np.array([0, 107, 255], np.uint8)).observations()
    assert packed.shape == (3, SIZE)
    assert SIZE % 4 == 0  # rows keep their numbers at a multiple of four bytes
    assert packed[:, KEY].tolist() == [0, 107, 255]
    for row in packed:
        assert (row == packed).all(1).sum() == 1
    assert numbers_in(packed)[1, [NAMES.index("Dlvl"), NAMES.index("T")]].tolist() == [7, 9]
    body = packed[:, 4 * len(NAMES) : KEY]
    np.testing.assert_array_equal(body, np.concatenate([characters.reshape(3, -1), colours.reshape(3, -1), cursors], 1))
