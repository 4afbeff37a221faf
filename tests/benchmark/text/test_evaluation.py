"""Episodes of an evaluation, on a game whose moves are known."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lamobench.baselines.text.replay import Replay
from lamobench.benchmark.text.collecting import Collector, draw
from lamobench.benchmark.text.evaluation import Sitting, apart, at_random, by_expert, by_policy, play, play_side_by_side
from lamobench.datasets.games.game import Game, Scene
from lamobench.datasets.games.players import OpenEpisode
from lamobench.tests.baselines.text.conftest import Make, make

__all__ = ["make"]


class Corridor:
    """Two steps forward, each of which pays a point; a step back ends up where no command is left."""

    def __init__(self, name: str) -> None:
        self.name = name

    def reset(self) -> Scene:
        self.scene = Scene("You are at its beginning.", "", ("back", "forward"), 0.0, 2.0, 0, False, False)
        return self.scene

    def step(self, index: int) -> Scene:
        moves = self.scene.moves + 1
        if self.scene.commands[index] == "back":
            self.scene = replace(self.scene, observation="You fell.", commands=(), moves=moves)
        else:
            over = moves == 2
            self.scene = replace(self.scene, score=float(moves), moves=moves, over=over, won=over)
        return self.scene

    def expert(self) -> int | None:
        return 1


def test_episodes_side_by_side_end_each_by_itself() -> None:
    games: list[Game] = [Corridor("a"), Corridor("b"), Corridor("c")]
    script = iter([[1, 0, 1], [1, 1]])
    played = play(apart(lambda episodes, rng: next(script)), games, "orig", np.random.default_rng(0))
    assert played.shares.tolist() == [1.0, 0.0, 1.0]
    assert played.won.tolist() == [True, False, True]
    assert played.moves.tolist() == [2, 1, 2]


def test_sittings_side_by_side_are_those_one_after_the_other() -> None:
    asked: list[int] = []

    def policy(episodes: Sequence[OpenEpisode]) -> list[Tensor]:
        asked.append(len(episodes))
        return [torch.tensor([0.4, 0.6]) for _ in episodes]

    def sittings() -> list[Sitting]:
        games: list[list[Game]] = [[Corridor(f"{place} {number}") for number in range(place + 2)] for place in range(3)]
        return [Sitting(own, "orig", np.random.default_rng(place)) for place, own in enumerate(games)]

    for choose in (by_policy(policy), at_random, by_expert):
        together = play_side_by_side(choose, sittings())
        alone = [play(choose, each.games, each.view, each.rng) for each in sittings()]
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_array_equal(one.shares, other.shares)
            np.testing.assert_array_equal(one.moves, other.moves)
    assert asked[0] == 2 + 3 + 4  # those of all sittings at once
    assert len({tuple(played.shares) for played in together}) > 1


def test_experts_win_and_chance_is_drawn_from_its_stream() -> None:
    games: list[Game] = [Corridor(str(number)) for number in range(400)]
    assert play(by_expert, games, "orig", np.random.default_rng(0)).won.all()
    first, again = (play(at_random, games, "orig", np.random.default_rng(3)) for _ in range(2))
    assert abs(first.won.mean() - 0.25) < 0.07
    np.testing.assert_array_equal(first.shares, again.shares)


def test_a_place_without_commands_ends_the_episode_for_the_agent_too(make: Make) -> None:
    agent = make()
    collector = Collector([[Corridor("a")]], agent.texts, Replay(100, 0.5), seed=0)
    rng = np.random.default_rng(0)
    ends = [collector.step(agent, rng) for _ in range(40)]
    assert {end for end in ends if end is not None} == {0.0, 0.5, 1.0}
    for transition in collector.replay.ring:
        assert transition.ended == (not transition.following.commands)


def test_what_is_drawn_is_as_likely_as_it_says() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw(torch.tensor([0.2, 0.0, 0.8]), rng) for _ in range(2000)]
    assert abs(drawn.count(0) / 2000 - 0.2) < 0.03
    assert drawn.count(1) == 0
