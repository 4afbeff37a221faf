"""Tests of language before and after, and the rewind curve; against computations of their own."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamobench.benchmark.lm import adapters
from lamobench.benchmark.lm.adapters import Rewinding
from lamobench.benchmark.lm.bits_per_byte import text_loss
from lamobench.benchmark.lm.checkpoints import load_language_model, load_tokenizer
from lamobench.benchmark.lm.gpt2 import SplitProjection
from lamobench.benchmark.lm.lamo import LaMo
from lamobench.benchmark.offline import forgetting
from lamobench.benchmark.offline.config import offline_config
from lamobench.benchmark.offline.evaluation import evaluate
from lamobench.benchmark.offline.forgetting import language_change, loss_before
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.players import load_player, untrained_player
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.offline.rewind import SEED, rewind, rewindable
from lamobench.benchmark.offline.rollout import evaluation_seeds
from lamobench.benchmark.runs.checkpoint import load_policy
from lamobench.benchmark.runs.layout import CHECKPOINT, REWIND
from lamobench.benchmark.scores.rewind import check_alphas, read_rewind
from lamobench.datasets.catalog import find_task
from lamobench.datasets.errors import UserError
from lamobench.datasets.measured_text import MeasuredText

Requests = Callable[..., RunRequest]
CPU = torch.device("cpu")
SHORT = MeasuredText("short", "the mean of the array — value\n")  # fits into one window of the tiny GPT-2
TEXT = MeasuredText("a text", "the mean of the array — value\n" * 6)
LEARNS = {"language_weight": 0.0, "learning_rate": 0.05, "warmup_steps": 0}


@pytest.fixture
def make_run(tiny_request: Requests, tmp_path: Path) -> Callable[..., Path]:
    """Trains LaMo on a tiny GPT-2, so that its language changes a good deal; the run's folder."""

    def make(**settings: Any) -> Path:
        return train(resolve(tiny_request("lamo", settings=LEARNS | settings)), tmp_path / "runs", "cpu")

    return make


def by_hand(model: Any, ids: list[int]) -> float:
    """The mean of -ln p(token | all before it), a forward pass of its own for each token."""
    with torch.no_grad():
        losses = [
            -model(torch.tensor([ids[:at]])).logits[0, -1].log_softmax(0)[ids[at]].item() for at in range(1, len(ids))
        ]
    return float(np.mean(losses))


def test_targets_are_aligned_exactly_once(tiny_gpt2: Path) -> None:
    """Token t is predicted from those before it: neither itself nor the one after it, and by transformers' own loss."""
    name = str(tiny_gpt2)
    model = load_language_model(name)
    tokenizer = load_tokenizer(name)
    ids = [0, *tokenizer.backend_tokenizer.encode(SHORT.text).ids]
    found = text_loss(model, tokenizer, SHORT, name)
    assert (found.tokens, found.bytes) == (len(ids) - 1, len(SHORT.text.encode()))
    assert found.nats_per_token == pytest.approx(by_hand(model, ids), rel=1e-5)
    both = torch.tensor([ids])
    assert found.nats_per_token == pytest.approx(model(input_ids=both, labels=both).loss.item(), rel=1e-5)
    assert found.bits_per_byte == pytest.approx(found.nats_per_token * (len(ids) - 1) / math.log(2) / SHORT.bytes)


def test_a_model_that_repeats_tokens_is_charged_for_it(tiny_gpt2: Path) -> None:
    """Aligned twice or not at all, targets would make a model that says the last token again seem to know the next."""
    name = str(tiny_gpt2)
    model: Any = load_language_model(name)
    with torch.no_grad():
        for parameter in model.transformer.h.parameters():
            parameter.zero_()
        model.transformer.wpe.weight.zero_()
        words = torch.randn(280, 16, generator=torch.Generator().manual_seed(0))
        words -= words.mean(dim=1, keepdim=True)  # as the last LayerNorm does
        model.transformer.wte.weight.copy_(torch.nn.functional.normalize(words, dim=1))
        model.transformer.ln_f.weight.fill_(20.0)
        model.transformer.ln_f.bias.zero_()
    tokenizer = load_tokenizer(name)
    ids = [0, *tokenizer.backend_tokenizer.encode(SHORT.text).ids]
    assert model(torch.tensor([ids])).logits[0].argmax(-1).tolist() == ids
    assert text_loss(model, tokenizer, SHORT, name).nats_per_token > 5.0


def test_the_base_is_measured_before_any_adapter_is_added(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run()
    config = offline_config(folder)
    expected = text_loss(load_language_model(config.lm), load_tokenizer(config.lm), TEXT, config.lm)
    forgetting._loss_untouched.cache_clear()
    order: list[str] = []
    genuine_loss = forgetting.text_loss
    genuine_lora = adapters.inject_adapter_in_model

    def measured(model: Any, *rest: Any) -> Any:
        names = [name for name, _ in model.named_parameters()]
        order.append("adapted" if any("lora" in name or ".q." in name for name in names) else "untouched")
        return genuine_loss(model, *rest)

    def adapted(*arguments: Any) -> Any:
        order.append("adapter")
        return genuine_lora(*arguments)

    monkeypatch.setattr(forgetting, "text_loss", measured)
    monkeypatch.setattr(adapters, "inject_adapter_in_model", adapted)
    change = language_change(folder, config, TEXT)
    assert order == ["untouched", "adapter", "adapted"]
    assert change is not None
    assert change.before == expected
    assert abs(change.nats_per_token) > 1e-3
    assert change.bits_per_byte == pytest.approx(change.nats_per_token * expected.tokens / math.log(2) / expected.bytes)


def test_controls_are_compared_with_what_they_were(tiny_request: Requests, tmp_path: Path) -> None:
    runs = [resolve(tiny_request("lamo-random", seed=seed, settings=LEARNS)) for seed in (0, 1)]
    losses = [loss_before(run, TEXT, CPU).nats_per_token for run in runs]
    expected = [
        text_loss(load_language_model(run.lm, "random", run.seed), load_tokenizer(run.lm), TEXT, "") for run in runs
    ]
    assert losses == [loss.nats_per_token for loss in expected]
    assert losses[0] != losses[1]


def interpolated(trained: Any, lm: str, alpha: float) -> Any:
    """A plain GPT-2 whose weights are what `trained` became to a share of `alpha`, put together by hand."""
    model: Any = load_language_model(lm)
    with torch.no_grad():
        if not any(".lora_" in name for name, _ in trained.named_parameters()):
            for name, parameter in model.named_parameters():
                parameter += alpha * (trained.get_parameter(name) - parameter)
        for block, other in zip(model.transformer.h, trained.transformer.h, strict=True):
            own = block.attn.c_attn
            layer = other.attn.c_attn
            parts = [layer.q, layer.k, layer.v] if isinstance(layer, SplitProjection) else [layer]
            for number, part in enumerate(parts if hasattr(parts[0], "lora_A") else []):
                columns = slice(16 * number, 16 * (number + 1)) if len(parts) > 1 else slice(None)
                update = part.lora_B["default"].weight @ part.lora_A["default"].weight  # (out, in)
                own.weight[:, columns] += alpha * part.scaling["default"] * update.T
                own.bias[columns] += alpha * (part.base_layer.bias - own.bias[columns])
    return model


@pytest.mark.parametrize("settings", [{}, {"lora_pairs": "joint"}, {"adaptation": "full"}], ids=str)
def test_what_changed_is_scaled_and_the_rest_is_kept(make_run: Callable[..., Path], settings: dict[str, Any]) -> None:
    folder = make_run(**settings)
    config = offline_config(folder)
    policy = untrained_player(folder, config, CPU)
    assert isinstance(policy, LaMo)
    rewinding = Rewinding(policy.language_model)
    load_policy(folder / CHECKPOINT, policy)
    trained: Any = load_player(folder, config, CPU)
    ids = torch.tensor([[5, 9, 30, 7, 2]])
    outside = {name: tensor.clone() for name, tensor in policy.state_dict().items() if "language_model" not in name}
    seen = []
    for alpha in (1.0, 0.0, 0.5, 0.0, 1.0):  # to and fro
        rewinding.to(alpha)
        with torch.no_grad():
            logits = policy.language_model.eval()(input_ids=ids).logits
            expected = interpolated(trained.language_model, config.lm, alpha)(input_ids=ids).logits
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        seen.append(logits)
    assert not torch.allclose(seen[0], seen[1], atol=1e-3)
    assert torch.equal(seen[0], seen[4])
    for name, tensor in outside.items():
        assert torch.equal(policy.state_dict()[name], tensor), name


def test_a_llama_is_rewound_too(tiny_request: Requests, tiny_llama: Path, tmp_path: Path) -> None:
    request = tiny_request("lamo", lm=str(tiny_llama), settings=LEARNS)
    folder = train(resolve(request), tmp_path / "runs", "cpu")
    config = rewindable(folder)
    found = rewind(folder, config, TEXT, (0.0, 1.0), 1)
    change = language_change(folder, config, TEXT)
    assert change is not None
    assert found.nats_change == pytest.approx([0.0, change.nats_per_token], abs=1e-5)
    assert abs(change.nats_per_token) > 1e-3


def test_the_curve_ends_at_the_run_as_trained_and_begins_at_the_language_it_had(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    config = rewindable(folder)
    done: list[tuple[int, int]] = []
    found = rewind(folder, config, TEXT, (0.0, 0.5, 1.0), 3, report=lambda *numbers: done.append(numbers))
    change = language_change(folder, config, TEXT)
    assert change is not None
    assert found.nats_before == change.before.nats_per_token
    assert found.nats_change[0] == pytest.approx(0.0, abs=1e-5)
    assert found.nats_change[-1] == pytest.approx(change.nats_per_token, abs=1e-5)
    assert found.bits_change[-1] == pytest.approx(change.bits_per_byte, abs=1e-5)
    played = evaluate(load_player(folder, config, CPU), config, evaluation_seeds(SEED, 0, 3), [found.target_return])
    assert found.scores[-1] == pytest.approx(
        find_task(config.task).normalise(np.mean([episode.episode_return for episode in played])), abs=1e-4
    )
    assert found.area(np.asarray([1.0, 3.0, 2.0])) == pytest.approx(2.25)  # trapezoids: (1 + 3) / 4 + (3 + 2) / 4
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert read_rewind(folder) == found


def test_a_curve_that_is_there_is_not_measured_again(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run()
    config = rewindable(folder)
    found = rewind(folder, config, TEXT, (0.0, 1.0), 1)
    with monkeypatch.context() as patch:
        patch.setattr("lamobench.benchmark.offline.rewind.untrained_player", None)
        assert rewind(folder, config, TEXT, (0.0, 1.0), 1) == found
    assert len(rewind(folder, config, TEXT, (0.0, 0.5, 1.0), 1).points) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "can't be read"),
        (b"{}", "rewind.json lacks text"),
        (None, "nats_per_token is 'x'; expected"),
    ],
)
def test_a_damaged_curve_is_one_line(make_run: Callable[..., Path], content: bytes | None, message: str) -> None:
    folder = make_run()
    rewind(folder, rewindable(folder), TEXT, (0.0, 1.0), 1)
    values = json.loads((folder / REWIND).read_text())
    values["points"][0]["nats_per_token"] = "x"
    (folder / REWIND).write_bytes(json.dumps(values).encode() if content is None else content)
    with pytest.raises(UserError, match=f"{message}.*type: lamobench rewind"):
        read_rewind(folder)


def test_what_can_t_be_rewound_gets_one_line(
    tiny_request: Requests, make_run: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="has no language model that predicts words; give a run of LaMo"):
        rewindable(train(resolve(tiny_request("bc")), tmp_path / "runs", "cpu"))
    with pytest.raises(UserError, match="left its language model frozen: there is nothing to rewind"):
        rewindable(make_run(adaptation="frozen"))
    folder = make_run()
    (folder / "done.json").unlink()
    with pytest.raises(UserError, match="is not finished"):
        rewindable(folder)


@pytest.mark.parametrize("alphas", [(), (0.5,), (0.0, 1.2), (-0.1, 1.0)], ids=str)
def test_alphas_are_two_or_more_shares(alphas: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match="give 2 to 101 numbers from 0 to 1"):
        check_alphas(alphas)
