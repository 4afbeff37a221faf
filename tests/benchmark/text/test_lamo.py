"""A language model that continues recorded games: its prompts, its scores beside transformers' own, its policy."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lamobench.benchmark.lm.checkpoints import load_language_model, load_tokenizer
from lamobench.benchmark.text.adaptations import Updates
from lamobench.benchmark.text.evaluation import play
from lamobench.benchmark.text.lamo import TextLaMo, TextLaMoConfig, load_text_lamo
from lamobench.benchmark.text.prompts import Prompts
from lamobench.datasets.games.game import Game, Scene
from lamobench.datasets.games.players import Episode, OpenEpisode
from lamobench.tests.baselines.text.conftest import scene
from lamobench.tests.benchmark.text.test_evaluation import Corridor

SCENES = (
    scene("the sum of a mean", "", "given", "axis of", "to the array"),
    scene("each value", "a shape", "return", "axis of", score=1.0),
    scene("is", "", over=True, score=2.0),
)
EPISODE = Episode("a game", SCENES, (1, 0))


@pytest.fixture(params=["tiny_gpt2", "tiny_llama"])
def agent(request: pytest.FixtureRequest) -> TextLaMo:
    """An agent whose updates are no longer zero."""
    made = load(request.getfixturevalue(request.param), temperature=0.2)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in made.parameters:
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return made


def load(folder: Path, weights: str = "pretrained", **settings: float) -> TextLaMo:
    config = replace(TextLaMoConfig(), **settings)  # type: ignore[arg-type]
    return load_text_lamo(config, Updates(rank=2, alpha=4.0), str(folder), weights, seed=0)


def log_probability(agent: TextLaMo, prompt: Sequence[int], command: Sequence[int]) -> float:
    """The log probability of a command's tokens behind a prompt's, in one pass of transformers' own."""
    ids = torch.tensor([[*prompt, *command]])
    with torch.no_grad():
        logits: Tensor = type(agent.model).forward(agent.model, input_ids=ids, use_cache=False).logits[0]
    logs = logits.double().log_softmax(-1)
    return sum(float(logs[len(prompt) - 1 + place, word]) for place, word in enumerate(command))


def test_a_prompt_is_the_moves_in_order() -> None:
    prompts = Prompts(lambda text: list(text.encode()), first=[0], positions=200, context=2)
    prompt = prompts.prompt(SCENES[:2], (1,), (1.0, 0.5))
    assert prompt[0] == 0
    newest = "50 % to go. each value a shape >"
    assert bytes(prompt[1:]).decode() == f"100 % to go. the sum of a mean  > axis of\n{newest}"
    assert bytes(prompts.command("axis of")) == b" axis of\n"
    alone = Prompts(lambda text: list(text.encode()), first=[], positions=200, context=1)
    assert bytes(alone.prompt(SCENES[:2], (1,), (1.0, 0.5))).decode() == newest


def test_what_does_not_fit_is_left_out_from_the_beginning() -> None:
    prompts = Prompts(lambda text: list(text.encode()), first=[0], positions=60, context=9)
    whole = prompts.prompt(SCENES[:2], (1,), (1.0, 0.5))
    assert bytes(whole[1:]) == b"50 % to go. each value a shape >"  # the move before would take 42 more
    long = replace(SCENES[1], commands=("x" * 100, "axis of"))
    assert list(map(len, prompts.commands(long))) == [30, 9]
    cut = prompts.prompt((SCENES[0], long), (1,), (1.0, 0.5))
    assert bytes(cut[1:]) == b"50 % to go. each value a shape >"[-29:]


def test_scores_and_loss_are_those_of_transformers_own_pass(agent: TextLaMo) -> None:
    first, second = agent.examples([EPISODE])
    assert len(second.prompt) > len(first.prompt)
    assert (first.chosen, second.chosen) == (1, 0)
    errors = []
    for move in (first, second):
        expected = [log_probability(agent, move.prompt, command) / 0.2 for command in move.commands]
        np.testing.assert_allclose(agent.scores(move.prompt, move.commands).detach().numpy(), expected, rtol=1e-4)
        errors.append(np.log(np.exp(expected).sum()) - expected[move.chosen])
    assert float(agent.loss([first, second]).detach()) == pytest.approx(np.mean(errors), rel=1e-4)


def test_gradients_flow_through_the_prompt(agent: TextLaMo) -> None:
    """The same gradients as in one pass over prompt and command, where nothing is kept."""
    _, move = agent.examples([EPISODE])
    (command, *_) = move.commands
    agent.scores(move.prompt, [command]).sum().backward()  # type: ignore[no-untyped-call]
    ours = [weight.grad.clone() for weight in agent.parameters if weight.grad is not None]
    agent.optimizer.zero_grad(set_to_none=True)
    tokens = torch.tensor([[*move.prompt, *command]])
    hidden = agent.backbone(agent.model.get_input_embeddings()(tokens))[:, len(move.prompt) - 1 : -1]
    logs = agent.model.get_output_embeddings()(hidden)[0].log_softmax(-1)
    (logs[range(len(command)), list(command)].sum() / 0.2).backward()
    theirs = [weight.grad for weight in agent.parameters if weight.grad is not None]
    assert len(ours) == len(agent.parameters)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_returns_are_what_was_won_in_learning_and_all_in_playing(agent: TextLaMo) -> None:
    lost = Episode("a game", (*SCENES[:2], replace(SCENES[2], score=1.0)), (1, 0))
    _, second = agent.examples([lost])
    assert second.prompt == agent.prompts.prompt(SCENES[:2], (1,), (0.5, 0.0))
    wanted = agent.prompts.prompt(SCENES[:2], (1,), (1.0, 0.5))
    (policy,) = agent([OpenEpisode(Corridor("a"), list(SCENES[:2]), [1])])
    torch.testing.assert_close(policy, agent.scores(wanted, second.commands).softmax(0).detach())


def test_strings_that_are_longer_than_the_model_sees_are_cut(agent: TextLaMo) -> None:
    most = agent.prompts.positions
    long = scene("the mean of a sum " * most, "a shape " * most, "return " * most, "axis")
    (policy,) = agent([OpenEpisode(Corridor("a"), [SCENES[0], long], [0])])
    assert torch.isfinite(policy).all()
    assert float(policy.sum()) == pytest.approx(1.0)
    (move,) = agent.examples([Episode("a game", (long, SCENES[2]), (0,))])
    assert len(move.prompt) + max(map(len, move.commands)) == most
    assert torch.isfinite(agent.loss([move]))


def test_games_that_end_do_not_disturb_the_others(agent: TextLaMo) -> None:
    episodes = [
        OpenEpisode(Corridor("a"), [scene("a pit", "", over=True)], []),
        OpenEpisode(Corridor("b"), [SCENES[0]], []),
    ]
    nothing, some = agent(episodes)
    assert nothing.shape == (0,)
    assert torch.equal(some, agent(episodes[1:])[0])
    script = iter([[0, 1, 0], [1]])
    offered = []

    def choose(going: Sequence[OpenEpisode], rng: np.random.Generator) -> list[int]:
        offered.append([len(policy) for policy in agent(going)])
        return next(script)

    games: list[Game] = [Corridor(name) for name in "abc"]  # two of which end where no command is left
    assert play(choose, games, "orig", np.random.default_rng(0)).moves.tolist() == [1, 2, 1]
    assert offered == [[2, 2, 2], [2]]


def test_it_learns_to_do_what_leads_to_the_wanted_return(tiny_gpt2: Path) -> None:
    agent = load(tiny_gpt2, learning_rate=0.02)
    room = scene("a mean", "", "axis", "shape")
    ends = [Scene("is", "", (), score, 2.0, 1, True, False) for score in (0.0, 2.0)]
    examples = agent.examples([Episode("a game", (room, end), (place,)) for place, end in enumerate(ends)])
    rng = np.random.default_rng(0)
    for _ in range(60):
        agent.update(examples, rng)
    (policy,) = agent([OpenEpisode(Corridor("a"), [room], [])])
    assert float(policy[1]) > 0.9


def test_commands_that_differ_in_one_word_of_many_are_told_apart(tiny_gpt2: Path) -> None:
    """A recording of four moves is learned by heart, certainly and soon."""
    agent = load(tiny_gpt2, learning_rate=0.02)
    given = [f"return the {word} of each array in the given shape to the mean" for word in ("axis", "sum", "value")]
    end = scene("is", "", over=True, score=2.0)
    chosen = (0, 1, 2, 1)
    rooms = [scene(f"the {word}", "", *given) for word in ("mean", "shape", "array", "given")]
    examples = agent.examples(
        [Episode("a", (room, end), (choice,)) for room, choice in zip(rooms, chosen, strict=True)]
    )
    rng = np.random.default_rng(0)
    for _ in range(60):
        agent.update(examples, rng)
    policies = agent([OpenEpisode(Corridor("a"), [room], []) for room in rooms])
    assert [int(policy.argmax()) for policy in policies] == list(chosen)
    assert min(float(policy[choice]) for policy, choice in zip(policies, chosen, strict=True)) > 0.95


def test_bfloat16_is_near(tiny_gpt2: Path) -> None:
    exact, rounded = (
        load_text_lamo(TextLaMoConfig(), Updates(rank=2, alpha=4.0), str(tiny_gpt2), "pretrained", 0, precision)
        for precision in ("float32", "bfloat16")
    )
    _, move = exact.examples([EPISODE])
    found = [agent.scores(move.prompt, move.commands).detach() for agent in (exact, rounded)]
    assert found[1].dtype == torch.float32
    assert not torch.equal(*found)
    torch.testing.assert_close(found[1], found[0], rtol=0.02, atol=0.05)


def test_controls_begin_with_other_weights(tiny_gpt2: Path) -> None:
    name = "transformer.wte.weight"
    weights = [load(tiny_gpt2, kind).model.get_parameter(name) for kind in ("pretrained", "random")]
    assert torch.equal(weights[0], load_language_model(str(tiny_gpt2)).get_parameter(name))
    assert not torch.equal(*weights)
    assert load_tokenizer(str(tiny_gpt2)).get_vocab()
