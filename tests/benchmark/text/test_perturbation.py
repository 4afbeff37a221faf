"""Language models that are moved at random: as far as training did, and files that are of no run."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lamobench.baselines.text.drrn import DRRN
from lamobench.benchmark.lm.adapters import Perturbing, WeightDistance
from lamobench.benchmark.lm.sentences import SentenceEncoder
from lamobench.benchmark.scores.collect import finished, read_run
from lamobench.benchmark.scores.run import FinishedRun
from lamobench.benchmark.text import perturbation
from lamobench.benchmark.text.config import TextConfig
from lamobench.benchmark.text.measures import metered
from lamobench.benchmark.text.meters import probes_of
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
    for name in found.keys() & {"pull", "pull_beyond_reading"}:
        assert (np.abs(found[name]) <= 1.0).all()


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


@pytest.mark.parametrize("method", METHODS)
def test_every_tensor_is_as_far_away_as_it_ended(method: str, tiny: Tiny) -> None:
    _, encoder = tuned_agent(tiny(method))
    distance = WeightDistance(encoder.model)
    perturbing = Perturbing(encoder.model)
    began = weights_of(encoder)
    with torch.no_grad():
        for number, weight in enumerate(began):
            encoder.model.get_parameter(weight).add_(0.01 * (1 + number))
    ended = float(distance(encoder.model).detach())
    last = weights_of(encoder)
    for draw in range(2):
        perturbing.move(np.random.default_rng(draw))
        assert float(distance(encoder.model).detach()) == pytest.approx(ended, rel=1e-4)
        for name, weight in weights_of(encoder).items():
            assert not torch.equal(weight, last[name])
            if ".lora_" not in name:
                expected = 0.01 * (1 + list(began).index(name)) * weight.numel() ** 0.5
                assert float((weight - began[name]).norm()) == pytest.approx(expected, rel=1e-3)
        last = weights_of(encoder)


def weights_of(encoder: SentenceEncoder) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in encoder.model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda text: text.replace("draw,", "row,"), "its first line is not 'draw'"),
        (lambda text: text.replace("wordnet", "others"), "its meters are others than those in meters.csv"),
        (lambda text: text.replace("\n3,", "\n4,"), "its draws are not 0 to 9"),
        (lambda text: "\n".join(text.split("\n")[:-2]) + "\n", "its draws are not 0 to 9"),
        (lambda text: text[:-1], "it is cut short"),
        (lambda text: text.replace("\n0,", "\n0,nan,", 1), "can't be read"),
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


def test_what_trains_no_language_model_can_t_be_moved(tiny: Tiny) -> None:
    with pytest.raises(UserError, match="trained no language model: there is nothing to take back; give another"):
        tuned_agent(tiny("drrn-fixed"))
    agent, encoder = tuned_agent(tiny("drrn-top-k"))
    assert isinstance(agent, DRRN)
    assert agent.encoder is encoder
