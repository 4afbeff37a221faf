import numpy as np
import pytest
import torch

from lamobench.baselines.online.nethack_networks import RecurrentActor, ScreenConfig
from lamobench.baselines.online.transitions import StagedSpec
from lamobench.benchmark.finetune.games import facts_of, play_games
from lamobench.datasets.environments.nethack_lite import FACTS, NetHackLite
from lamobench.datasets.environments.nethack_screens import SIZE
from lamobench.tests.datasets.environments.nethack import needs_nethack

needs_nethack()
SEEDS = np.array([3, 4, 5])


class Searcher(RecurrentActor):
    """A policy that searches, whatever it sees, as long as its one weight of the search key is large."""

    def __init__(self, environment: NetHackLite) -> None:
        super().__init__(StagedSpec(SIZE, len(environment.keys), 2, True), ScreenConfig(hidden=4, width=4))
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.fill_(-1e4)
            self.head.bias[environment.keys.index(ord("s"))] = 0.0


def test_games_are_played_to_their_ends_and_rest_there(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = NetHackLite(horizon=12)
    actor = Searcher(environment)
    quits = b"#quit\ry"
    press = environment.step
    taken = 0

    def step(actions: np.ndarray) -> object:
        """The first game is quit by seven keys; the others go on."""
        nonlocal taken
        changed = actions.copy()
        if taken < len(quits):
            changed[0] = environment.keys.index(quits[taken])
        taken += 1
        return press(changed)

    monkeypatch.setattr(environment, "step", step)
    played = play_games(actor, environment, SEEDS, 0)
    assert played.lengths.tolist() == [7, 12, 12]
    assert taken == 12
    assert environment._begun.tolist() == [2, 2, 2]
    turns = played.facts[:, FACTS.index("turns")]
    assert turns[0] == 1 < turns[1:].min()
    assert facts_of(played, "start") == {
        "start_score": 0.0,
        "start_turns": turns.mean(),
        "start_depth": 1.0,
        "start_experience": 1.0,
    }


def test_a_game_among_others_is_the_game_by_itself() -> None:
    environment = NetHackLite(horizon=30)
    actor = Searcher(environment)
    together = play_games(actor, environment, SEEDS, 0)
    alone = [play_games(actor, environment, SEEDS[[number]], 0) for number in range(3)]
    np.testing.assert_array_equal(together.facts, np.concatenate([each.facts for each in alone]))
    np.testing.assert_array_equal(together.returns, np.concatenate([each.returns for each in alone]))
