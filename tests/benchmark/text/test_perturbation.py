"""Language models that are moved at random: as far as training did, and files that are of no run."""

import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lamobench.baselines.text.drrn import DRRN
from lamobench.benchmark.lm.adapters import Perturbing, WeightDistance, _added_square
from lamobench.benchmark.lm.sentences import SentenceEncoder
from lamobench.benchmark.scores.collect import finished, read_run
from lamobench.benchmark.scores.run import FinishedRun
from lamobench.benchmark.text import perturbation
from lamobench.benchmark.text.config import TextConfig
from lamobench.benchmark.text.measures import metered
from lamobench.benchmark.text.mechanism import Pull
from lamobench.benchmark.text.meters import probes_of
from lamobench.benchmark.text.pairs import Pairs
from lamobench.benchmark.text.perturbation import DRAWS, perturb, read_perturbed
from lamobench.benchmark.text.rewind import tuned_agent
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.text.conftest import Tiny, few, train

FILE = "perturbed.csv"
RATE = 0.1
METHODS = ("drrn-top-k", "drrn-lora")


@pytest.fixture(autouse=True)
def _few_probes_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perturbation, "probes_of", lambda task: few(probes_of(task)))


@pytest.fixture(params=METHODS)
def config(request: pytest.FixtureRequest, tiny: Tiny) -> TextConfig:
    return tiny(request.param, encoder_learning_rate=RATE, update_every=2)


@pytest.fixture
def run(config: TextConfig, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> FinishedRun:
    """A copy of a run, trained and moved."""
    kept = tmp_path_factory.getbasetemp() / "moved" / config.id
    if not kept.exists():
        perturb(read(train(config, kept.parent)))
    return read(Path(shutil.copytree(kept, tmp_path / config.id)))


def read(folder: Path) -> FinishedRun:
    (found,) = finished([read_run(folder)])
    return found


def test_a_model_is_moved_as_far_as_training_moved_it(run: FinishedRun) -> None:
    found = read_perturbed(run)
    own = metered(run)
    assert found.keys() - {"pull", "pull_beyond_reading"} == own.keys()
    np.testing.assert_allclose(found["weight_change"], own["weight_change"][-1], rtol=1e-4)
    assert own["weight_change"][-1] > 0.0
    assert len(set(found["drift_nouns"].tolist())) == DRAWS  # each way is another
    assert (found["drift_nouns"] > 0.0).all()


def test_the_same_file_is_measured_again_and_one_that_is_there_stays(
    run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (run.folder / FILE).read_bytes()
    (run.folder / FILE).unlink()
    perturb(run)
    assert (run.folder / FILE).read_bytes() == before
    monkeypatch.setattr(perturbation, "tuned_agent", None)
    perturb(run)
    assert (run.folder / FILE).read_bytes() == before


@pytest.mark.parametrize("method", [*METHODS, "drrn-full"])
def test_every_row_is_as_far_away_as_it_ended(method: str, tiny: Tiny) -> None:
    _, encoder = tuned_agent(tiny(method))
    perturbing = Perturbing(encoder.model)
    distance = WeightDistance(encoder.model)
    began = weights_of(encoder)
    stays = next((name for name in began if ".lora_B" in name), list(began)[1])  # of an update, so that it adds nothing
    with torch.no_grad():
        for number, name in enumerate(began):
            weight = encoder.model.get_parameter(name)
            if name != stays:
                steps = torch.arange(len(weight)) if weight.ndim > 1 else torch.ones(1)  # the first row stays, too
                weight.add_(0.01 * (1 + number) * steps.view(-1, *[1] * (weight.ndim - 1)))
    ended = weights_of(encoder)
    moved = float(distance(encoder.model).detach())
    added = [float(_added_square(layer).detach()) for layer in perturbing.updates]
    assert bool(added) == (method == "drrn-lora")
    for draw in range(2):
        before = weights_of(encoder)
        perturbing.move(np.random.default_rng(draw))
        assert float(distance(encoder.model).detach()) == pytest.approx(moved, rel=1e-4)
        again = [float(_added_square(layer).detach()) for layer in perturbing.updates]
        assert again == pytest.approx(added, rel=1e-4, abs=1e-12)
        for name, weight in weights_of(encoder).items():
            if ".lora_" not in name:
                found = torch.linalg.vector_norm(weight - began[name], dim=-1)
                expected = torch.linalg.vector_norm(ended[name] - began[name], dim=-1)
                torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
                assert torch.equal(weight, before[name]) == (not expected.any())
    assert (added == []) or (min(added) == 0.0 < max(added))


def weights_of(encoder: SentenceEncoder) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in encoder.model.named_parameters() if p.requires_grad}


def test_the_mechanism_is_tested_with_the_states_that_the_run_counted(
    run: FinishedRun, config: TextConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    nouns = few(probes_of(config.game_task)).nouns[:12]
    rng = np.random.default_rng(0)
    read, rewarded, before = (counts + counts.T for counts in rng.uniform(0.0, 9.0, (3, 12, 12)))
    monkeypatch.setattr(perturbation, "read_pairs", lambda _: Pairs(nouns, read, rewarded, before / 20, before / 20))
    (run.folder / FILE).unlink()
    perturb(run)
    for name in ("pull", "pull_beyond_reading"):
        found = read_perturbed(run)[name]
        assert (np.abs(found) <= 1.0).all()
        assert len(set(found.tolist())) == DRAWS


def test_a_correlation_that_some_draws_do_not_have_is_left_out(
    run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run.folder / FILE).unlink()
    found = iter([0.5, math.nan] + [0.25] * (2 * DRAWS - 2))
    monkeypatch.setattr(perturbation, "pull", lambda *_, **__: Pull(next(found), 0.5))
    perturb(run)
    columns = read_perturbed(run)
    assert columns["pull"].tolist() == [0.5] + [0.25] * (DRAWS - 1)
    assert "pull_beyond_reading" not in columns


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda text: text.replace("draw,", "row,"), "its first line is not 'draw'"),
        (lambda text: text.replace("wordnet", "others"), "its meters are others than those in meters.csv"),
        (lambda text: text.replace("\n3,", "\n4,"), "its draws are not 0 to 9"),
        (lambda text: "\n".join(text.split("\n")[:-2]) + "\n", "its draws are not 0 to 9"),
        (lambda text: text[:-1], "it is cut short"),
        (lambda text: text.replace("\n0,", "\n0,0.5,", 1), "can't be read"),
        (lambda text: re.sub(r"(?m)^0,[^,]*,", "0,nan,", text), "finite numbers"),
        (
            lambda text: re.sub(r"(?m)(\d)$", r"\1,1.5", text).replace("\n", ",pull\n", 1),
            "it holds correlations beyond 1",
        ),
    ],
)
def test_a_file_that_is_not_the_run_s_gets_a_line(change: Callable[[str], str], line: str, run: FinishedRun) -> None:
    path = run.folder / FILE
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=f"perturbed.csv can't be used .*{line}.*; delete it, and it is measured again"):
        perturb(run)


def test_a_file_of_another_run_is_found_by_how_far_it_went(run: FinishedRun) -> None:
    lines = (run.folder / FILE).read_text().splitlines()
    place = lines[0].split(",").index("weight_change")
    cells = lines[5].split(",")
    cells[place] = repr(float(cells[place]) * 1.01)
    (run.folder / FILE).write_text("\n".join([*lines[:5], ",".join(cells), *lines[6:]]) + "\n")
    with pytest.raises(UserError, match=r"its weight_change is not that in meters.csv, [0-9.e-]+"):
        read_perturbed(run)


def test_meters_that_were_changed_are_told_of_as_what_they_are(run: FinishedRun) -> None:
    path = run.folder / "meters.csv"
    path.write_text(path.read_text().replace("wordnet", "others"))
    with pytest.raises(UserError, match=r"^meters.csv was changed after the run"):
        perturb(run)


def test_what_trains_no_language_model_can_t_be_moved(tiny: Tiny) -> None:
    with pytest.raises(UserError, match="trained no language model: there is nothing to take back; give another"):
        tuned_agent(tiny("drrn-fixed"))
    agent, encoder = tuned_agent(tiny("drrn-top-k"))
    assert isinstance(agent, DRRN)
    assert agent.encoder is encoder
