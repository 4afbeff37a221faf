"""Cloning of recorded games: its loss command by command, and that what was cloned comes back."""

import numpy as np
import pytest
import torch

from lamobench.baselines.text.bc import Choice, TextBC, TextBCConfig
from lamobench.baselines.text.encoders import HashEncoder
from lamobench.baselines.text.texts import PieceVectors, Texts
from lamobench.datasets.games.players import Episode, OpenEpisode
from lamobench.tests.baselines.text.conftest import RNG, SCENES, alone, scene


def make(seed: int = 0, **settings: float) -> TextBC:
    encoder = HashEncoder()
    config = TextBCConfig(**({"hidden": 4, "learning_rate": 0.01} | settings))  # type: ignore[arg-type]
    return TextBC(config, encoder, PieceVectors(Texts(encoder), encoder.encode), seed)


def test_the_loss_by_hand() -> None:
    agent = make(temperature=0.1)  # which is for evaluations alone
    states = [agent.texts.state(each) for each in SCENES]
    choices = [Choice(states[0], states[0].commands[1]), Choice(states[1], states[1].commands[0])]
    errors = []
    for choice in choices:
        scores = [float(alone(agent, agent.network, choice.state, each)) for each in choice.state.commands]
        chosen = scores[choice.state.commands.index(choice.command)]
        errors.append(np.log(np.exp(scores).sum()) - chosen)
    assert float(agent.loss(choices).detach()) == pytest.approx(np.mean(errors), rel=1e-5)


def test_what_was_chosen_is_cloned() -> None:
    agent = make(hidden=16)
    episode = Episode("a game", (*SCENES, scene("done", "", over=True)), (1, 2, 0))
    examples = agent.examples([episode])
    assert [each.state.commands.index(each.command) for each in examples] == [1, 2, 0]
    for _ in range(60):
        agent.update(examples, RNG)
    policies = agent.policy()([OpenEpisode(None, [each], []) for each in SCENES])  # type: ignore[arg-type]
    assert [int(policy.argmax()) for policy in policies] == [1, 2, 0]
    assert min(float(policy.max()) for policy in policies) > 0.9


def test_a_place_without_commands_has_an_empty_policy() -> None:
    agent = make()
    stuck = scene("a pit", "")
    nothing, some = agent.policy()([OpenEpisode(None, [each], []) for each in (stuck, SCENES[0])])  # type: ignore[arg-type]
    assert nothing.shape == (0,)
    assert float(some.sum()) == pytest.approx(1.0)
    (alone_again,) = agent.policy()([OpenEpisode(None, [stuck], [])])  # type: ignore[arg-type]
    assert alone_again.shape == (0,)


def test_an_agent_that_is_loaded_goes_on_as_the_other() -> None:
    agents = [make(seed) for seed in (0, 1)]
    episode = Episode("a game", (*SCENES, scene("done", "", over=True)), (1, 2, 0))
    examples = [agent.examples([episode]) for agent in agents]
    for _ in range(3):
        agents[0].update(examples[0], RNG)
    agents[1].load(agents[0].tensors())
    for agent, own in zip(agents, examples, strict=True):
        agent.update(own, RNG)
    ours, theirs = (agent.tensors() for agent in agents)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
