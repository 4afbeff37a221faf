"""Algorithms of d3rlpy, and the model of transformers, with the networks and weights of ours.

Each function returns their implementation and the pairs of parameters, theirs and ours, by which the weights were
copied and gradients can be compared. Optimisers are theirs, with the settings of ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import d3rlpy
import torch
import transformers
from d3rlpy.models.encoders import EncoderFactory, PixelEncoderFactory, VectorEncoderFactory
from torch import Tensor, nn

from lamobench.baselines.bc import BC
from lamobench.baselines.cql import CQL
from lamobench.baselines.decision_transformer import DecisionTransformer
from lamobench.baselines.discrete_cql import DiscreteCQL
from lamobench.baselines.iql import IQL
from lamobench.baselines.networks import Ensemble
from lamobench.baselines.policy import Spec
from lamobench.baselines.td3_bc import TD3BC
from lamobench.baselines.transformer import Block
from lamobench.datasets.windows import ContextBatch


def same(tensor: Tensor) -> Tensor:
    """The view of ours that most of their parameters need."""
    return tensor


@dataclass(frozen=True)
class Pair:
    """One parameter of theirs and the part of one of ours that it stands for."""

    theirs: nn.Parameter
    ours: nn.Parameter
    view: Callable[[Tensor], Tensor] = same  # takes ours, or its gradient, to the shape of theirs


def bc(policy: BC, spec: Spec) -> tuple[Any, list[Pair]]:
    """Pair ours with their deterministic behavioural cloning."""
    c = policy.config
    config = d3rlpy.algos.BCConfig(learning_rate=c.learning_rate, encoder_factory=_hidden(c.hidden))
    theirs = _built(config, spec)
    return theirs, copied(_perceptron(theirs.policy, [theirs.policy._fc], policy.actor))


def discrete_bc(policy: BC, spec: Spec) -> tuple[Any, list[Pair]]:
    """Pair ours with their classifier of actions, without its penalty on logits."""
    c = policy.config
    config = d3rlpy.algos.DiscreteBCConfig(
        learning_rate=c.learning_rate, encoder_factory=_seen(spec, c.hidden), beta=0.0
    )
    theirs = _built(config, spec)
    imitator = theirs._modules.imitator
    return theirs, copied(_perceptron(imitator, [imitator._fc], policy.actor))


def td3_bc(policy: TD3BC, spec: Spec) -> tuple[Any, list[Pair]]:
    """Pair ours with their TD3+BC."""
    c = policy.config
    encoder = _hidden(policy.config.hidden)
    config = d3rlpy.algos.TD3PlusBCConfig(
        actor_learning_rate=c.actor_learning_rate,
        critic_learning_rate=c.critic_learning_rate,
        actor_encoder_factory=encoder,
        critic_encoder_factory=encoder,
        gamma=c.discount,
        tau=c.target_rate,
        target_smoothing_sigma=c.target_noise,
        target_smoothing_clip=c.target_noise_limit,
        alpha=c.value_weight,
        update_actor_interval=c.actor_every,
    )
    theirs = _built(config, spec)
    modules = theirs._modules
    copied(_perceptron(modules.targ_policy, [modules.targ_policy._fc], policy.target_actor))
    copied(_critics(modules.targ_q_funcs, policy.target_critic))
    pairs = _perceptron(modules.policy, [modules.policy._fc], policy.actor)
    return theirs, copied(pairs + _critics(modules.q_funcs, policy.critic))


def iql(policy: IQL, spec: Spec) -> tuple[Any, list[Pair]]:
    """Pair ours with their IQL, but for its log standard deviations, no plain copy of ours: `match_width` sets them."""
    c = policy.config
    encoder = _hidden(policy.config.hidden)
    config = d3rlpy.algos.IQLConfig(
        actor_learning_rate=c.actor_learning_rate,
        critic_learning_rate=c.critic_learning_rate,
        actor_encoder_factory=encoder,
        critic_encoder_factory=encoder,
        value_encoder_factory=encoder,
        gamma=c.discount,
        tau=c.target_rate,
        expectile=c.expectile,
        weight_temp=c.temperature,
        max_weight=c.largest_weight,
    )
    theirs = _built(config, spec)
    modules = theirs._modules
    copied(_critics(modules.targ_q_funcs, policy.target_critic))
    match_width(modules.policy, policy.log_std)
    pairs = _perceptron(modules.policy, [modules.policy._mu], policy.actor)
    pairs += _perceptron(modules.value_func, [modules.value_func._fc], policy.value)
    return theirs, copied(pairs + _critics(modules.q_funcs, policy.critic))


@torch.no_grad()
def match_width(theirs: Any, log_std: Tensor) -> Tensor:
    """Give their actor the log standard deviations (A,) of ours, and return the derivative of them by its parameter.

    Theirs are a sigmoid of the parameter, stretched to the interval that ours are clipped to.
    """
    low = theirs._min_logstd
    high = theirs._max_logstd
    share = (log_std - low) / (high - low)
    theirs._logstd.copy_(torch.logit(share))
    return (high - low) * share * (1.0 - share)


def cql(policy: CQL, spec: Spec) -> tuple[Any, list[Pair]]:
    """Pair ours with their CQL: a fixed alpha, and as the threshold of its gap what ours subtracts, log(3n)."""
    c = policy.config
    encoder = _hidden(policy.config.hidden)
    config = d3rlpy.algos.CQLConfig(
        actor_learning_rate=c.actor_learning_rate,
        critic_learning_rate=c.critic_learning_rate,
        temp_learning_rate=c.actor_learning_rate,
        alpha_learning_rate=0.0,  # alpha stays what it is
        initial_alpha=1.0,
        alpha_threshold=log(3 * c.sampled_actions),
        conservative_weight=c.conservative_weight,
        n_action_samples=c.sampled_actions,
        initial_temperature=c.initial_temperature,
        soft_q_backup=c.backup_entropy,
        actor_encoder_factory=encoder,
        critic_encoder_factory=encoder,
        gamma=c.discount,
        tau=c.target_rate,
    )
    theirs = _built(config, spec)
    modules = theirs._modules
    pairs = _perceptron(modules.policy, [modules.policy._mu, modules.policy._logstd], policy.actor)
    pairs += _critics(modules.q_funcs, policy.critic)
    copied(_critics(modules.targ_q_funcs, policy.target_critic))
    return theirs, copied(pairs)


def discrete_cql(policy: DiscreteCQL, spec: Spec) -> tuple[Any, list[Pair]]:
    """Pair ours with their discrete CQL on the quantiles of one critic."""
    c = policy.config
    config = d3rlpy.algos.DiscreteCQLConfig(
        learning_rate=c.learning_rate,
        optim_factory=d3rlpy.optimizers.AdamFactory(eps=c.adam_epsilon),
        encoder_factory=_seen(spec, c.hidden),
        q_func_factory=d3rlpy.models.QRQFunctionFactory(n_quantiles=c.quantiles),
        gamma=c.discount,
        target_update_interval=c.target_interval,
        alpha=c.conservative_weight,
    )
    theirs = _built(config, spec)
    (critic,) = theirs._modules.q_funcs
    (target,) = theirs._modules.targ_q_funcs
    copied(_perceptron(target, [target._fc], policy.target_network.network))
    return theirs, copied(_perceptron(critic, [critic._fc], policy.q_network.network))


def decision_transformer(policy: DecisionTransformer, spec: Spec) -> tuple[Any, list[Pair]]:
    """Pair ours with their Decision Transformer; the epsilon of its LayerNorms, 0.003, becomes PyTorch's."""
    c = policy.config
    model = policy.model
    config = d3rlpy.algos.DecisionTransformerConfig(
        context_size=c.context,
        max_timestep=spec.horizon - 2,  # their table has two rows more
        learning_rate=c.learning_rate,
        encoder_factory=VectorEncoderFactory(hidden_units=[c.width], exclude_last_activation=True),
        optim_factory=d3rlpy.optimizers.AdamWFactory(clip_grad_norm=c.gradient_clip, weight_decay=c.weight_decay),
        num_heads=c.heads,
        num_layers=c.layers,
        attn_dropout=c.dropout,
        resid_dropout=c.dropout,
        embed_dropout=c.dropout,
        activation_type=c.activation,
    )
    theirs = _built(config, spec)
    net = theirs._modules.transformer
    pairs = [*_layer(net._encoder._layers[0], model.embed_state), *_layer(net._rtg_embed, model.embed_return)]
    pairs += [*_layer(net._action_embed, model.embed_action), *_layer(net._embed_ln, model.embed_norm)]
    pairs += [*_layer(net._gpt2._layer_norm, model.backbone.norm), *_layer(net._output, model.head[0])]
    pairs.append(Pair(net._position_encoding._embed.weight, model.embed_time.weight))
    for block, mine in zip(net._gpt2._transformer, model.backbone.blocks, strict=True):
        pairs += _block(block, mine)
    for module in net.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = model.embed_norm.eps
    return theirs, copied(pairs)


def transformers_model(policy: DecisionTransformer, spec: Spec) -> tuple[Any, list[Pair]]:
    """The model of transformers, without its heads for states and returns; the position embedding, always 0's, is 0."""
    c = policy.config
    model = policy.model
    config = transformers.DecisionTransformerConfig(
        state_dim=spec.observation_dim,
        act_dim=spec.action_dim,
        hidden_size=c.width,
        max_ep_len=spec.horizon,
        n_layer=c.layers,
        n_head=c.heads,
        n_positions=3 * c.context,
        activation_function=c.activation,
        attn_pdrop=c.dropout,
        resid_pdrop=c.dropout,
        embd_pdrop=c.dropout,
    )
    net = transformers.DecisionTransformerModel(config)
    nn.init.zeros_(net.encoder.wpe.weight)
    for untrained in (net.encoder.wpe, net.encoder.wte, net.predict_state, net.predict_return):
        untrained.requires_grad_(False)
    pairs = [*_layer(net.encoder.ln_f, model.backbone.norm), *_layer(net.embed_ln, model.embed_norm)]
    pairs += [*_layer(net.embed_return, model.embed_return), *_layer(net.embed_state, model.embed_state)]
    pairs += [*_layer(net.embed_action, model.embed_action), *_layer(net.predict_action[0], model.head[0])]
    pairs.append(Pair(net.embed_timestep.weight, model.embed_time.weight))
    for block, mine in zip(net.encoder.h, model.backbone.blocks, strict=True):
        pairs += [*_layer(block.ln_1, mine.norm_attention), *_layer(block.ln_2, mine.norm_network)]
        pairs += [*_conv1d(block.attn.c_attn, mine.query_key_value), *_conv1d(block.attn.c_proj, mine.project)]
        pairs += [*_conv1d(block.mlp.c_fc, mine.expand), *_conv1d(block.mlp.c_proj, mine.contract)]
    return net, copied(pairs)


def predict(model: Any, policy: DecisionTransformer, batch: ContextBatch) -> Tensor:
    """Actions (B, K, A) of the model of transformers for one of our batches."""
    predictions = model(
        states=policy.model.normalize(batch.observations),
        actions=batch.actions,
        returns_to_go=batch.returns_to_go[..., None] / policy.model.return_scale,
        timesteps=batch.timesteps,
    )
    return torch.as_tensor(predictions.action_preds)


def copied(pairs: list[Pair]) -> list[Pair]:
    """Give theirs the weights of ours."""
    with torch.no_grad():
        for pair in pairs:
            pair.theirs.copy_(pair.view(pair.ours))
    return pairs


def _built(config: Any, spec: Spec) -> Any:
    algorithm = config.create(device="cpu:0")
    shape = (spec.view.frames, 84, 84) if spec.view.frames else (spec.observation_dim,)
    algorithm.create_impl(shape, spec.action_dim)
    return algorithm.impl


def _hidden(widths: Sequence[int]) -> VectorEncoderFactory:
    return VectorEncoderFactory(hidden_units=list(widths))


def _seen(spec: Spec, hidden: Sequence[int]) -> EncoderFactory:
    """An encoder of images: convolutions and one layer on top, as wide as the first of `hidden`, the only one."""
    if not spec.view.frames:
        return _hidden(hidden)
    (width,) = hidden
    return PixelEncoderFactory(feature_size=width)


def _layer(theirs: Any, ours: Any) -> list[Pair]:
    return [Pair(theirs.weight, ours.weight), Pair(theirs.bias, ours.bias)]


def _rows(theirs: nn.Linear, ours: nn.Linear, start: int) -> list[Pair]:
    """Pair their layer with the outputs of ours from `start` on."""
    rows = slice(start, start + theirs.out_features)
    return [Pair(theirs.weight, ours.weight, lambda t: t[rows]), Pair(theirs.bias, ours.bias, lambda t: t[rows])]


def _conv1d(theirs: Any, ours: nn.Linear) -> list[Pair]:
    """A linear layer with its weight transposed."""
    return [Pair(theirs.weight, ours.weight, lambda t: t.T), Pair(theirs.bias, ours.bias)]


def _layers(network: nn.Module) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]


def _perceptron(theirs: Any, heads: list[nn.Linear], ours: nn.Sequential) -> list[Pair]:
    """Pair their encoder and the heads on top of it, which ours has side by side in its last layer."""
    *hidden, last = _layers(ours)
    pairs = [p for layers in zip(_layers(theirs._encoder), hidden, strict=True) for p in _layer(*layers)]
    start = 0
    for head in heads:
        pairs += _rows(head, last, start)
        start += head.out_features
    assert start == last.out_features
    return pairs


def _critics(theirs: nn.ModuleList, ours: Ensemble) -> list[Pair]:
    """Pair their critics, modules of their own, with members of our stacked ones."""
    pairs = []
    for member, critic in enumerate(theirs):
        layers = [*_layers(critic._encoder), critic._fc]
        for layer, weight, bias in zip(layers, ours.weights, ours.biases, strict=True):
            pairs.append(Pair(layer.weight, weight, lambda t, m=member: t[m].T))
            pairs.append(Pair(layer.bias, bias, lambda t, m=member: t[m, 0]))
    return pairs


def _block(theirs: Any, ours: Block) -> list[Pair]:
    attention = theirs._attention
    network = theirs._mlp
    width = ours.project.in_features
    pairs = [*_layer(theirs._layer_norm1, ours.norm_attention), *_layer(theirs._layer_norm2, ours.norm_network)]
    for number, projection in enumerate((attention._q, attention._k, attention._v)):
        pairs += _rows(projection, ours.query_key_value, number * width)
    pairs += [*_layer(attention._proj, ours.project), *_layer(network._l1, ours.expand)]
    return pairs + _layer(network._l2, ours.contract)
