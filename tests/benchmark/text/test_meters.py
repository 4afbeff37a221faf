"""Meters of degeneration: by hand, beside plain loops, and on an encoder whose weights are moved."""

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from lamobench.baselines.text.drrn import trained_weights
from lamobench.benchmark.lm.sentences import SentenceEncoder, load_sentence_encoder
from lamobench.benchmark.lm.tuned_sentences import train_all, train_top, train_updates
from lamobench.benchmark.recompute.stages import read_meters as recomputed_meters
from lamobench.benchmark.runs.meters import meters_csv, read_meters
from lamobench.benchmark.text.measures import METERS
from lamobench.benchmark.text.meters import (
    Meters,
    Probes,
    holder_rank,
    path_correlation,
    probes_of,
    right_holders,
    things_by_split,
)
from lamobench.datasets.errors import UserError
from lamobench.datasets.games.families import make_games, missing
from lamobench.datasets.games.house import ROOM_OF, THINGS
from lamobench.datasets.games.tasks import find_game_task
from lamobench.datasets.games.words import meanings
from lamobench.tests.benchmark.text.conftest import few

TASK = find_game_task("tidy-medium")


@pytest.fixture
def encoder(tiny_gpt2: Path) -> SentenceEncoder:
    return load_sentence_encoder(str(tiny_gpt2))


def test_ranks_by_hand() -> None:
    things = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    holders = torch.tensor([[1.0, 0.1], [1.0, 0.9], [0.0, 1.0]])
    right = torch.tensor([[True, False, False], [True, False, False], [True, False, True]])
    assert holder_rank(things, holders, right) == pytest.approx((1 / 1 + 1 / 3 + 1 / 2) / 3)
    assert holder_rank(5.0 * things, 0.1 * holders, right) == holder_rank(things, holders, right)
    same = torch.ones(3, 2)
    assert holder_rank(same, same, torch.eye(3) > 0) == pytest.approx((1 / 1 + 1 / 2 + 1 / 3) / 3)


def test_vectors_that_are_all_the_same_rank_as_by_chance() -> None:
    right = torch.zeros(1, 9, dtype=torch.bool)
    right[:, [2, 5]] = True
    collapsed = holder_rank(torch.ones(1, 4), torch.ones(9, 4), right)
    pairs = [min(pair) for pair in itertools.combinations(range(1, 10), 2)]  # the ranks of two right ones, in any order
    assert collapsed == pytest.approx(np.mean([1 / first for first in pairs]))
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(10, 4, generator=generator).split([1, 9]) for _ in range(2000)]
    assert np.mean([holder_rank(*vectors, right) for vectors in drawn]) == pytest.approx(collapsed, abs=0.02)


def test_ranks_are_those_of_a_plain_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    things = list(THINGS.values())
    holders = list(ROOM_OF)
    ours = torch.randn(len(things), 7, generator=generator)
    theirs = torch.randn(len(ROOM_OF), 7, generator=generator)
    ranks = []
    for thing, vector in zip(things, ours, strict=True):
        near = [float(torch.cosine_similarity(vector, holder, dim=0)) for holder in theirs]
        ordered = [holders[place] for place in np.argsort(near)[::-1]]
        ranks.append(1 + min(ordered.index(place) for place in thing.places))
    right = right_holders({thing.name: thing.places for thing in things}, holders)
    assert holder_rank(ours, theirs, right) == pytest.approx(np.mean(1 / np.array(ranks)))


def test_things_stand_in_the_split_that_shows_them_first() -> None:
    found = things_by_split(TASK)
    assert set(found) == {"train", "others", "ood"}
    games = make_games("tidy-medium", "train", 5)
    assert set(found["train"]) == {
        thing.name
        for game in games
        for thing in game.house.things  # type: ignore[attr-defined]
    }
    assert all(THINGS[name].seen for name in found["others"])
    assert set(found["ood"]) == {name for name, thing in THINGS.items() if not thing.seen}
    assert sum(map(len, found.values())) == len(THINGS)
    assert all(THINGS[name].places == places for own in found.values() for name, places in own.items())
    (elsewhere,) = things_by_split(find_game_task("cave-start")).items()
    assert elsewhere == ("ood", {name: thing.places for name, thing in THINGS.items()})


def test_textworld_commonsense_has_its_own_things_and_places() -> None:
    if line := missing("twc-medium"):
        pytest.skip(line)
    task = find_game_task("twc-medium")
    probes = probes_of(task)
    assert {split: len(own) for split, own in probes.things.items()} == {"train": 15, "others": 236, "ood": 125}
    assert len(probes.holders) == 36
    assert all(set(places) <= set(probes.holders) for own in probes.things.values() for places in own.values())
    texts = [game.reset().observation for game in make_games("twc-medium", "train", 5)]
    assert all(any(re.search(rf"\b{re.escape(name)}\b", text) for text in texts) for name in probes.things["train"])


def test_nouns_that_are_as_near_as_in_wordnet_correlate() -> None:
    line = Probes((), ("a", "b", "c", "d"), (("a", "b", 1), ("a", "c", 2), ("a", "d", 7)), {}, ())
    angles = torch.tensor([0.0, 0.1, 0.2, 0.3])
    vectors = torch.stack([angles.cos(), angles.sin()], 1)
    assert path_correlation(vectors, line) == pytest.approx(1.0)
    assert path_correlation(vectors[[0, 3, 2, 1]], line) == pytest.approx(-1.0)
    assert path_correlation(torch.ones(4, 2), line) == 0.0
    probes = few(probes_of(TASK))
    drawn = torch.randn(len(probes.nouns), 5, generator=torch.Generator().manual_seed(0))
    near = [
        float(torch.cosine_similarity(*(drawn[probes.nouns.index(noun)] for noun in pair), dim=0))
        for *pair, _ in probes.pairs
    ]
    steps = [steps for *_, steps in probes.pairs]
    assert path_correlation(drawn, probes) == pytest.approx(-spearmanr(near, steps).statistic)


@pytest.mark.parametrize(
    "prepare",
    [train_all, lambda encoder: train_top(encoder, 1), lambda encoder: train_updates(encoder, 2, 8.0)],
    ids=["full", "top", "lora"],
)
def test_what_stands_still_has_not_changed_and_what_moves_has(
    prepare: Callable[[SentenceEncoder], None], encoder: SentenceEncoder
) -> None:
    prepare(encoder)
    before = {name: weight.detach().clone() for name, weight in encoder.model.named_parameters()}
    meters = Meters(encoder, few(probes_of(TASK)))
    still = meters.measure()
    assert set(still) == set(METERS)
    assert [still[name] for name in ("weight_change", "cross_entropy")] == [0.0, 0.0]
    for kind in ("glosses", "nouns"):
        assert still[f"cka_{kind}"] == pytest.approx(1.0)
        assert still[f"drift_{kind}"] == pytest.approx(0.0, abs=1e-6)
        assert still[f"neighbours_{kind}"] == 1.0
    with torch.no_grad():
        for place, weight in enumerate(trained_weights(encoder).values()):
            weight += torch.randn(weight.shape, generator=torch.Generator().manual_seed(place))
    moved = meters.measure()
    for kind in ("glosses", "nouns"):
        assert moved[f"cka_{kind}"] < 1.0
        assert moved[f"neighbours_{kind}"] < 1.0
        assert moved[f"drift_{kind}"] > 0.0
    assert moved["cross_entropy"] != 0.0
    if not any("lora_" in name for name in before):
        after = dict(encoder.model.named_parameters())
        apart = sum(float((after[name] - weight).detach().double().square().sum()) for name, weight in before.items())
        norm = sum(float(weight.double().square().sum()) for weight in before.values())
        assert moved["weight_change"] == pytest.approx((apart / norm) ** 0.5, rel=1e-4)


def test_cross_entropy_is_the_loss_of_the_head_and_falls_where_texts_are_learned(encoder: SentenceEncoder) -> None:
    train_all(encoder)
    probes = few(probes_of(TASK))
    glosses = tuple(sorted(probes.nouns, key=len)[:12])  # short ones, which the model sees at once
    meters = Meters(encoder, replace(probes, glosses=glosses))
    ids = torch.tensor([number for gloss in glosses for number in encoder.tokens(gloss)])
    assert len(ids) <= encoder.model.config.n_positions

    def loss() -> torch.Tensor:
        return torch.nn.functional.cross_entropy(encoder.model(ids[None]).logits[0, :-1], ids[1:])

    untouched = loss()
    untouched.backward()
    before = untouched.item()
    assert meters.loss == pytest.approx(before, rel=1e-5)
    torch.optim.SGD(trained_weights(encoder).values(), 0.1).step()
    after = loss().item()
    assert after < before
    assert meters.measure()["cross_entropy"] == pytest.approx(after - before, rel=1e-3)


def test_glosses_are_none_that_distillation_holds() -> None:
    assert not set(probes_of(TASK).glosses) & set(meanings().glosses)


def test_a_file_of_meters_round_trips_and_a_damaged_one_is_a_line() -> None:
    content = meters_csv(0, {"a": 1.0, "b": 0.1}, header=True) + meters_csv(10, {"a": 1 / 3, "b": -2.0}, header=False)
    steps, found = read_meters(content.encode())
    assert steps.tolist() == [0, 10]
    assert {name: values.tolist() for name, values in found.items()} == {"a": [1.0, 1 / 3], "b": [0.1, -2.0]}
    for damaged in (content[:-1], content.replace("0.1", "nan"), content.replace("step", "stop"), ""):
        with pytest.raises(UserError, match=r"meters\.csv"):
            read_meters(damaged.encode())


def test_meters_of_earlier_runs_have_the_names_of_today() -> None:
    content = meters_csv(0, {"holders_train": 0.5, "holders_valid": 0.25}, header=True).encode()
    assert list(read_meters(content)[1]) == ["holders_train", "holders_others"]
    assert recomputed_meters(content, [0]) == {"step": ("0",), "holders_train": ("0.5",), "holders_others": ("0.25",)}
