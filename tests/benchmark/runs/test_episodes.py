import pytest

from lamobench.benchmark.runs.episodes import HEADER, Episode, episodes_csv, parse_episodes, read_episodes
from lamobench.datasets.errors import UserError

EPISODES = [Episode(10, 76.0, 0, 2**32 - 1, 1 / 3, 100), Episode(20, -0.1, 1, 0, 1e-30, 1)]


def test_episodes_survive_the_file_exactly() -> None:
    text = episodes_csv(EPISODES)
    assert text.splitlines()[0] == HEADER == "step,target_return,episode,seed,return,length"
    found = parse_episodes(text.encode())
    assert found == EPISODES
    assert [type(value) for value in vars(found[0]).values()] == [int, float, int, int, float, int]


def test_the_table_holds_the_same_numbers() -> None:
    assert read_episodes(episodes_csv(EPISODES).encode())[:, 4].tolist() == [1 / 3, 1e-30]


@pytest.mark.parametrize("content", [b"", f"{HEADER}\n".encode(), f"{HEADER}\n10,76.0,0,1,5.0,1".encode(), b"\xff\n1"])
def test_a_file_that_is_cut_short_gives_no_episodes(content: bytes) -> None:
    for read in (read_episodes, parse_episodes):
        with pytest.raises(UserError, match=r"episodes\.csv can't be read"):
            read(content)
