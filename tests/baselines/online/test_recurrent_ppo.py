import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lamobench.baselines.online.nethack_networks import Memory, RecurrentActor, ScreenConfig, ScreenEncoder
from lamobench.baselines.online.ppo import Rollout
from lamobench.baselines.online.recurrent_ppo import (
    RecurrentMinibatch,
    RecurrentPPO,
    RecurrentPPOConfig,
    RecurrentRollout,
)
from lamobench.baselines.online.retention import RETENTIONS, Retention, RetentionConfig
from lamobench.baselines.online.sequences import SequenceMemory, Sequences
from lamobench.baselines.online.transitions import StagedSpec
from lamobench.datasets.environments import nethack_screens as layout

SPEC = StagedSpec(layout.SIZE, 5, 2, discrete=True)
SMALL = {"hidden": 12, "width": 10, "symbol_width": 3}
T = 6
E = 4


def screens(*shape: int, seed: int = 0) -> torch.Tensor:
    """Made-up observations (..., S)."""
    rng = np.random.default_rng(seed)
    count = math.prod(shape)
    characters = rng.integers(32, 127, (count, 24, 80), np.uint8)
    colours = rng.integers(0, 16, (count, 24, 80), np.uint8)
    cursors = np.stack([rng.integers(24, size=count), rng.integers(80, size=count)], 1).astype(np.uint8)
    made = layout.Screens(characters, colours, cursors, rng.integers(0, 256, count, np.uint8))
    return torch.from_numpy(made.observations()).view(*shape, layout.SIZE)


def small_agent(seed: int = 0, **changes: object) -> RecurrentPPO:
    return RecurrentPPO(RecurrentPPOConfig(**(SMALL | {"batch_size": 2 * T} | changes)), SPEC, seed)  # type: ignore[arg-type]


def begins(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3)) < 0.3


def rollout(agent: RecurrentPPO) -> RecurrentRollout:
    generator = torch.Generator().manual_seed(2)
    seen = screens(T, E)
    starts = begins(T, E)
    first = states = torch.randn(E, 2, agent.config.hidden, generator=generator)
    decisions = []
    for step in range(T):
        decision, states = agent.go_on(seen[step], starts[step], states)
        decisions.append(decision)
    return RecurrentRollout(
        observations=seen,
        stages=torch.zeros(T, E, dtype=torch.int64),
        **{name: torch.stack([vars(d)[name] for d in decisions]) for name in ("actions", "log_probs", "values")},
        rewards=torch.randn(T, E, generator=generator),
        dones=torch.cat([starts[1:], begins(1, E)]).float(),
        last_values=torch.randn(E, generator=generator),
        begins=starts,
        states=first,
        teacher_states=first,
    )


def memory(agent: RecurrentPPO, rows: int = 5) -> SequenceMemory:
    generator = torch.Generator().manual_seed(4)
    return SequenceMemory(
        screens=screens(rows, T, seed=1),
        begins=begins(rows, T),
        states=torch.randn(rows, 2, agent.config.hidden, generator=generator),
        chosen=torch.randint(5, (rows, T), generator=generator),
        stages=torch.arange(rows) % 2,
    )


def test_the_memory_is_pytorch_s_lstm_that_begins_anew_with_each_episode() -> None:
    torch.manual_seed(0)
    ours = Memory(7, 9)
    theirs = torch.nn.LSTM(7, 9, batch_first=True)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.inputs.weight)
        theirs.bias_ih_l0.copy_(ours.inputs.bias)
        theirs.weight_hh_l0.copy_(ours.recurrent.weight)
        theirs.bias_hh_l0.zero_()
    encoded = torch.randn(3, T, 7)
    states = torch.randn(3, 2, 9)
    starts = torch.zeros(3, T, dtype=torch.bool)
    starts[1, 0] = starts[2, 4] = True
    outputs, after = ours(encoded, starts, states)
    for row, cuts in enumerate(([0, T], [0, T], [0, 4, T])):
        before = tuple(state[None, None] for state in states[row])
        for start, end in pairwise(cuts):
            if starts[row, start]:
                before = tuple(torch.zeros_like(state) for state in before)
            expected, before = theirs(encoded[row : row + 1, start:end], before)
            torch.testing.assert_close(outputs[row, start:end], expected[0])
        torch.testing.assert_close(after[row], torch.cat([state[0] for state in before]))


def test_steps_one_by_one_are_the_steps_of_a_sequence() -> None:
    agent = small_agent()
    made = rollout(agent)
    sequences = Sequences(made.observations.transpose(0, 1), made.begins.T, made.states)
    policy, values = agent.judge(sequences, made.stages)
    torch.testing.assert_close(policy.log_prob(made.actions.T.flatten()), made.log_probs.T.flatten())
    torch.testing.assert_close(values, made.values.T.flatten())
    torch.testing.assert_close(agent.value(sequences, made.stages), values)


def test_the_crop_is_what_surrounds_the_cursor() -> None:
    encoder = ScreenEncoder(ScreenConfig(**SMALL))  # type: ignore[arg-type]
    symbols = torch.arange(2 * layout.CELLS).view(2, 24, 80)
    crop = encoder._around(symbols, torch.tensor([[10, 20], [0, 79]]))
    assert torch.equal(crop[0], symbols[0, 6:15, 16:25])
    assert torch.equal(crop[1, 4:, :5], symbols[1, :5, 75:])
    assert not crop[1, :4].any()
    assert not crop[1, :, 5:].any()


def test_screens_are_encoded_one_by_one_as_together(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    encoder = ScreenEncoder(ScreenConfig(**SMALL))  # type: ignore[arg-type]
    seen = screens(5)
    together = encoder(seen)
    monkeypatch.setattr("lamobench.baselines.online.nethack_networks.CHUNK", 2)
    with torch.no_grad():
        torch.testing.assert_close(encoder(seen), together)
    looked_up = (
        encoder.characters.weight[seen[:, layout.CHARACTERS].int()]
        + encoder.colours.weight[(seen[:, layout.COLOURS] & 15).int()]
    )
    captured = []
    encoder.map[0].register_forward_hook(lambda _, given, __: captured.append(given[0]))
    seen[:, layout.CHARACTERS + layout.COLUMNS] = seen[:, layout.CHARACTERS]  # the first cell below the message
    seen[:, layout.COLOURS + layout.COLUMNS] = seen[:, layout.COLOURS]
    encoder(seen)
    torch.testing.assert_close(captured[0][:, :, 0, 0], looked_up)


def test_a_crop_that_has_no_middle_is_refused() -> None:
    for crop in (4, 3, 8):
        with pytest.raises(ValueError, match=f"crop is {crop}"):
            ScreenEncoder(ScreenConfig(crop=crop))


def test_every_step_is_in_one_minibatch_of_an_epoch() -> None:
    agent = small_agent(epochs=2)
    made = rollout(agent)
    batches = list(agent.minibatches(made))
    assert len(batches) == 4
    for epoch in (batches[:2], batches[2:]):
        seen = torch.cat([batch.log_probs for batch in epoch])
        assert torch.equal(seen.sort().values, made.log_probs.flatten().sort().values)
    for batch in batches:
        assert isinstance(batch, RecurrentMinibatch)
        policy, _ = agent.judge(batch.observations, batch.stages)
        torch.testing.assert_close(policy.log_prob(batch.actions), batch.log_probs)  # rows belong together
    assert isinstance(made, Rollout)


def test_the_critic_alone_is_warmed_up() -> None:
    agent = small_agent(learning_rate=0.1)
    before = {name: tensor.clone() for name, tensor in agent.state_dict().items()}
    agent.update_critic(rollout(agent))
    after = agent.state_dict()
    assert {name for name in before if not torch.equal(after[name], before[name])} == {"critic.weight", "critic.bias"}


@pytest.mark.parametrize("name", ["none", "bc", "ks", "ewc", "l2-init"])
def test_retention_costs_nothing_at_pi_star_and_holds_it_there(name: str) -> None:
    row = RETENTIONS[name]
    changes = {"ewc": {"estimate": "batch", "least": 0.0}}.get(name, {})
    strong = 1e10 if name == "ewc" else 1e4  # a batch's mean gradient is small, and so is its square
    drift = {}
    for coefficient in (0.0, strong):
        agent = small_agent(learning_rate=1e-3)
        kept = memory(agent)
        given = changes | ({"coefficient": coefficient} if name != "none" else {})
        retention = row.build(row.config(**given))
        retention.prepare(agent.actor, kept, torch.Generator().manual_seed(0))
        with torch.no_grad():
            first = agent.actor.distribution(kept.observations, kept.stages)
        made = rollout(agent)
        info = agent.update_once(next(iter(agent.minibatches(made))), retention)
        assert info["retention_loss"].item() == pytest.approx(0, abs=1e-5 * max(1.0, coefficient))
        for _ in range(4):
            agent.update(made, retention)
        with torch.no_grad():
            drift[coefficient] = first.kl(agent.actor.distribution(kept.observations, kept.stages)).mean().item()
    assert drift[0.0] > 1e-5
    if name != "none":
        assert drift[strong] < 0.6 * drift[0.0]


def test_cloned_sequences_are_drawn_with_their_teacher_s_choices() -> None:
    agent = small_agent()
    kept = memory(agent, rows=9)
    row = RETENTIONS["bc"]
    retention = row.build(row.config(batch_size=2))
    retention.prepare(agent.actor, kept, torch.Generator())
    other = small_agent(seed=5)
    found = retention.loss(other.actor, None, 0, [torch.Generator().manual_seed(8)])  # type: ignore[arg-type]
    rows = torch.randint(9, (2,), generator=torch.Generator().manual_seed(8))
    teacher = agent.actor.distribution(kept.observations[rows], kept.stages[rows])
    student = other.actor.distribution(kept.observations[rows], kept.stages[rows])
    expected = F.kl_div(student.log_probabilities, teacher.log_probabilities, log_target=True, reduction="none")
    assert found.item() == pytest.approx(expected.sum(-1).mean().item(), rel=1e-4)


def test_an_encoder_that_stays_is_left_out_of_what_is_trained() -> None:
    agent = small_agent(learning_rate=0.1)
    names = set(agent.actor.trunk())
    agent.freeze_encoder()
    assert names - set(agent.actor.trunk()) == {name for name in names if name.startswith("encoder.")}
    made = rollout(agent)
    before = {name: tensor.clone() for name, tensor in agent.actor.encoder.state_dict().items()}
    agent.update(made, Retention(RetentionConfig()))
    assert all(torch.equal(tensor, before[name]) for name, tensor in agent.actor.encoder.state_dict().items())
    assert isinstance(agent.actor, RecurrentActor)
    with torch.no_grad():
        encoded = agent.actor.encode(made.observations)
        sequences = Sequences(made.observations.transpose(0, 1), made.begins.T, made.states)
        once = Sequences(encoded.transpose(0, 1), made.begins.T, made.states)
        for one, other in zip(agent.actor.features(sequences), agent.actor.features(once), strict=True):
            torch.testing.assert_close(one, other)
