"""Every method by name, a row each: what it is called, what it looks like, where its code is.

Light: the command line's help reads this table, so a method's code is imported when it is used.
"""

from dataclasses import dataclass

from ...datasets.errors import choose
from .plugins import Registry


@dataclass(frozen=True)
class Cost:
    """Milliseconds that a method takes."""

    update: float  # an optimiser step
    act: float  # choosing the action of a step of one episode
    more: float  # what each further episode adds to that, played side by side


UNKNOWN = Cost(30.0, 1.0, 0.1)  # of a method that nobody has measured
ROUND = Cost(300.0, 0.4, 0.01)  # of fine-tuning: GridRelay's 2,048 steps and what is learned from them, on a busy core

MOVE = Cost(3.0, 3.0, 0.5)  # of a text game: a step of it, and a fourth of an update


@dataclass(frozen=True)
class Method:
    """A method: what its name stands for."""

    name: str
    title: str  # for tables and figures
    summary: str  # one line for `--help` and the documentation
    policy: str  # import path of its class, e.g. "lamobench.baselines.bc:BC"
    config: str  # import path of the dataclass of its settings
    family: str  # methods of one share settings (`offline/settings.py`)
    short: str = ""  # title where there is little room; "": the title is short
    track: str = "offline"  # a name of `tracks.TRACKS`
    # One colour a method, in every figure, on white and on dark pages. Any two that can meet on one task stay apart
    # under each kind of colour blindness (tests simulate them), and each has a contrast of 3 or more.
    colour: str = "#7A7A7A"
    dark: str = "#9a9a9a"
    marker: str = "v"  # Matplotlib's name of it
    dashes: tuple[float, ...] = ()  # of its line: on and off, in line widths; none: solid
    # Typical costs in the cpu profile, on one core: of tasks whose observations are vectors, and of images. Made by
    # `python -m lamobench.tests.benchmark.sweep.typical_costs` on an Intel Xeon that had other work too: good enough
    # for estimates, which are scaled by what was measured on the machine at hand.
    on_vectors: Cost = UNKNOWN
    on_frames: Cost = UNKNOWN
    discrete: bool = True  # whether it can choose among discrete actions
    continuous: bool = True  # whether it can give vectors of real numbers
    listed: bool = True  # whether a sweep that names no methods has it; the others are variants and controls
    context: bool = False  # whether it chooses from several steps of history
    compiles: bool = True  # whether its steps go through torch.compile: not where they differ from one to the next
    stacks: bool = False  # whether several seeds can be trained in one pass (`offline/together.py`)
    weights: str = ""  # of the language model: "" for methods without one, else one of `lm.checkpoints.WEIGHTS`
    matched: bool = False  # whether its transformer has the shape of the language model that LaMo would adapt

    def plays(self, *, discrete: bool) -> bool:
        """Check whether it can act where actions are discrete, or where they are not."""
        return self.discrete if discrete else self.continuous

    @property
    def label(self) -> str:
        """The title where there is little room."""
        return self.short or self.title


_ALL = (
    Method(
        "lamo",
        "LaMo",
        "GPT-2 frozen, low-rank updates, residual MLPs in and out",
        policy="lamobench.benchmark.lm.lamo:LaMo",
        config="lamobench.benchmark.lm.lamo:LaMoConfig",
        family="lamo",
        colour="#0B4F9E",
        dark="#5283bf",
        marker="o",
        context=True,
        weights="pretrained",
        on_vectors=Cost(39.2, 4.28, 0.351),
        on_frames=Cost(141, 8.85, 4.4),
    ),
    Method(
        "lamo-random",
        "LaMo, random weights",
        "control: the same with scale-matched random frozen weights",
        policy="lamobench.benchmark.lm.lamo:LaMo",
        config="lamobench.benchmark.lm.lamo:LaMoConfig",
        family="lamo",
        short="LaMo random",
        colour="#3D9BD9",
        dark="#b4dcff",
        marker="o",
        dashes=(5.0, 1.6),
        context=True,
        weights="random",
        on_vectors=Cost(36.2, 4.06, 0.294),
        on_frames=Cost(150, 9.18, 4.37),
    ),
    Method(
        "lamo-permuted",
        "LaMo, permuted weights",
        "control: each frozen tensor's values shuffled",
        policy="lamobench.benchmark.lm.lamo:LaMo",
        config="lamobench.benchmark.lm.lamo:LaMoConfig",
        family="lamo",
        short="LaMo permuted",
        colour="#A23B72",
        dark="#c43b34",
        marker="o",
        dashes=(2.0, 1.4),
        listed=False,
        context=True,
        weights="permuted",
        on_vectors=Cost(35.2, 3.9, 0.302),
        on_frames=Cost(155, 9.2, 4.31),
    ),
    Method(
        "lamo-initialised",
        "LaMo, fresh weights",
        "control: GPT-2 as it is before pre-training",
        policy="lamobench.benchmark.lm.lamo:LaMo",
        config="lamobench.benchmark.lm.lamo:LaMoConfig",
        family="lamo",
        short="LaMo fresh",
        colour="#871EF0",
        dark="#9145ea",
        marker="o",
        dashes=(1.0, 1.0),
        listed=False,
        context=True,
        weights="initialised",
        on_vectors=Cost(35.3, 3.84, 0.28),
        on_frames=Cost(142, 8.58, 4.37),
    ),
    Method(
        "wiki-rl",
        "Wiki-RL",
        "all of a pre-trained GPT-2 trained, between linear layers",
        policy="lamobench.benchmark.lm.lamo:LaMo",
        config="lamobench.benchmark.lm.lamo:WikiRLConfig",
        family="wiki-rl",
        colour="#3C009C",
        dark="#755fc9",
        marker="h",
        context=True,
        weights="pretrained",
        on_vectors=Cost(40.7, 2.74, 0.314),
        on_frames=Cost(155, 8.34, 4.31),
    ),
    Method(
        "dt",
        "DT",
        "Decision Transformer trained from scratch",
        policy="lamobench.baselines.decision_transformer:DecisionTransformer",
        config="lamobench.baselines.decision_transformer:DecisionTransformerConfig",
        family="dt",
        colour="#DE7900",
        dark="#d57d00",
        marker="s",
        context=True,
        on_vectors=Cost(24.7, 2.21, 0.161),
        on_frames=Cost(136, 7.29, 4.08),
    ),
    Method(
        "dt-matched",
        "DT, size-matched",
        "the same, as deep and wide as the language model of LaMo",
        policy="lamobench.baselines.decision_transformer:DecisionTransformer",
        config="lamobench.baselines.decision_transformer:DecisionTransformerConfig",
        family="dt",
        short="DT matched",
        colour="#998844",
        dark="#b5a550",
        marker="s",
        context=True,
        matched=True,
        on_vectors=Cost(48.2, 2.71, 0.335),
        on_frames=Cost(162, 11.5, 4.13),
    ),
    Method(
        "cql",
        "CQL",
        "conservative Q-learning on soft actor-critic",
        policy="lamobench.baselines.cql:CQL",
        config="lamobench.baselines.cql:CQLConfig",
        family="value",
        colour="#1A8A5F",
        dark="#67d2ad",
        marker="D",
        discrete=False,
        stacks=True,
        on_vectors=Cost(9.05, 0.283, 0.00391),
    ),
    Method(
        "iql",
        "IQL",
        "implicit Q-learning: expectile values, weighted cloning",
        policy="lamobench.baselines.iql:IQL",
        config="lamobench.baselines.iql:IQLConfig",
        family="value",
        colour="#FF4477",
        dark="#fc4383",
        marker="d",
        discrete=False,
        stacks=True,
        on_vectors=Cost(7.43, 0.254, 0.00919),
    ),
    Method(
        "td3-bc",
        "TD3+BC",
        "twin delayed policy gradients that clone the data",
        policy="lamobench.baselines.td3_bc:TD3BC",
        config="lamobench.baselines.td3_bc:TD3BCConfig",
        family="value",
        colour="#CC3311",
        dark="#9d5b56",
        marker="<",
        discrete=False,
        compiles=False,
        stacks=True,
        on_vectors=Cost(5.68, 0.244, 0.00741),
    ),
    Method(
        "rebrac",
        "ReBRAC",
        "TD3+BC with penalties on actor and critics",
        policy="lamobench.baselines.rebrac:ReBRAC",
        config="lamobench.baselines.rebrac:ReBRACConfig",
        family="value",
        colour="#BB66FF",
        dark="#bf67ff",
        marker=">",
        discrete=False,
        compiles=False,
        stacks=True,
        on_vectors=Cost(10.4, 0.285, 0.0108),
    ),
    Method(
        "rvs",
        "RvS",
        "cloning that is told the return that followed; in the kitchen, a goal",
        policy="lamobench.baselines.rvs:RvS",
        config="lamobench.baselines.rvs:RvSConfig",
        family="rvs",
        colour="#775533",
        dark="#b7875e",
        marker="p",
        discrete=False,
        stacks=True,
        on_vectors=Cost(2.79, 0.286, 0.0124),
    ),
    Method(
        "discrete-cql",
        "CQL (QR-DQN)",
        "conservative Q-learning on quantiles of the return",
        policy="lamobench.baselines.discrete_cql:DiscreteCQL",
        config="lamobench.baselines.discrete_cql:DiscreteCQLConfig",
        family="deep-q",
        short="CQL",
        colour="#1A8A5F",
        dark="#007d38",
        marker="D",
        continuous=False,
        on_vectors=Cost(11.7, 0.294, 0.0149),
        on_frames=Cost(70.9, 6.3, 3.85),
    ),
    Method(
        "bcq",
        "BCQ",
        "Q-learning among the actions that an imitation of the data finds likely",
        policy="lamobench.baselines.bcq:BCQ",
        config="lamobench.baselines.bcq:BCQConfig",
        family="deep-q",
        colour="#440055",
        dark="#b5a1d8",
        marker="P",
        continuous=False,
        on_vectors=Cost(13.6, 0.489, 0.0147),
        on_frames=Cost(72.9, 5.71, 3.96),
    ),
    Method(
        "nfq",
        "NFQ",
        "neural fitted Q-iteration: deep Q-learning without a target network",
        policy="lamobench.baselines.nfq:NFQ",
        config="lamobench.baselines.nfq:NFQConfig",
        family="deep-q",
        colour="#BB1111",
        dark="#e26264",
        marker="X",
        continuous=False,
        on_vectors=Cost(4.01, 0.26, 0.00861),
        on_frames=Cost(42, 5.58, 3.8),
    ),
    Method(
        "bc",
        "BC",
        "behavioural cloning with a multi-layer perceptron",
        policy="lamobench.baselines.bc:BC",
        config="lamobench.baselines.bc:BCConfig",
        family="cloning",
        colour="#333333",
        dark="#aabecb",
        marker="^",
        stacks=True,
        on_vectors=Cost(2.61, 0.261, 0.00951),
        on_frames=Cost(24, 5.08, 3.79),
    ),
    Method(
        "bc-10",
        "BC, best 10 %",
        "behavioural cloning of the tenth of the episodes with the highest returns",
        policy="lamobench.baselines.bc:BC",
        config="lamobench.baselines.bc:BestBCConfig",
        family="cloning",
        short="BC best 10 %",
        colour="#8866AA",
        dark="#b24389",
        marker="^",
        stacks=True,
        on_vectors=Cost(3.07, 0.306, 0.00791),
        on_frames=Cost(29.5, 5.35, 3.79),
    ),
    Method(
        "finetune",
        "Fine-tuning",
        "pi*, trained on as if it knew nothing",
        policy="lamobench.baselines.online.retention:Retention",
        config="lamobench.baselines.online.retention:RetentionConfig",
        family="retention",
        track="finetune",
        colour="#DE7900",
        dark="#d57d00",
        marker="s",
        on_vectors=ROUND,
    ),
    Method(
        "finetune-bc",
        "Fine-tuning + BC",
        "and held to pi* on states that pi* was trained on",
        policy="lamobench.baselines.online.retention:BehavioralCloning",
        config="lamobench.baselines.online.retention:BehavioralCloningConfig",
        family="retention",
        short="BC",
        track="finetune",
        colour="#0B4F9E",
        dark="#5283bf",
        marker="o",
        on_vectors=ROUND,
    ),
    Method(
        "finetune-ks",
        "Fine-tuning + KS",
        "kickstarting: held to pi* on states that it visits itself",
        policy="lamobench.baselines.online.retention:Kickstarting",
        config="lamobench.baselines.online.retention:KickstartingConfig",
        family="retention",
        short="KS",
        track="finetune",
        colour="#3D9BD9",
        dark="#b4dcff",
        marker="o",
        dashes=(5.0, 1.6),
        on_vectors=ROUND,
    ),
    Method(
        "finetune-ewc",
        "Fine-tuning + EWC",
        "elastic weights: each pulled back the more, the more it matters to pi*",
        policy="lamobench.baselines.online.retention:ElasticWeights",
        config="lamobench.baselines.online.retention:ElasticWeightsConfig",
        family="retention",
        short="EWC",
        track="finetune",
        colour="#A23B72",
        dark="#c43b34",
        marker="D",
        on_vectors=ROUND,
    ),
    Method(
        "finetune-l2-init",
        "Fine-tuning + L2",
        "control of EWC: all weights pulled back to pi* alike",
        policy="lamobench.baselines.online.retention:Anchored",
        config="lamobench.baselines.online.retention:AnchoredConfig",
        family="retention",
        short="L2",
        track="finetune",
        colour="#871EF0",
        dark="#9145ea",
        marker="d",
        dashes=(1.0, 1.0),
        on_vectors=ROUND,
    ),
    Method(
        "scratch",
        "Scratch",
        "control: the same agent without pi*",
        policy="lamobench.baselines.online.retention:Retention",
        config="lamobench.baselines.online.retention:RetentionConfig",
        family="control",
        track="finetune",
        colour="#333333",
        dark="#aabecb",
        marker="^",
        on_vectors=ROUND,
    ),
    Method(
        "frozen",
        "Frozen",
        "control: pi* as it is, never trained",
        policy="lamobench.baselines.online.retention:Retention",
        config="lamobench.baselines.online.retention:RetentionConfig",
        family="control",
        track="finetune",
        colour="#998844",
        dark="#b5a550",
        marker="P",
        on_vectors=ROUND,
    ),
    Method(
        "rewind",
        "Rewind",
        "control: fine-tuning, and weights taken a part of the way back to pi*",
        policy="lamobench.baselines.online.retention:Retention",
        config="lamobench.baselines.online.retention:RetentionConfig",
        family="control",
        track="finetune",
        colour="#1A8A5F",
        dark="#67d2ad",
        marker="<",
        on_vectors=ROUND,
    ),
    Method(
        "warm-up",
        "Warm-up",
        "control: the critic learns first, from what pi* does",
        policy="lamobench.baselines.online.retention:Retention",
        config="lamobench.baselines.online.retention:RetentionConfig",
        family="control",
        track="finetune",
        colour="#CC3311",
        dark="#9d5b56",
        marker=">",
        on_vectors=ROUND,
    ),
    Method(
        "random",
        "Random",
        "control: any command, each as likely",
        policy="lamobench.baselines.text.drrn:DRRN",
        config="lamobench.baselines.text.drrn:DRRNConfig",
        family="none",
        track="text",
        colour="#998844",
        dark="#b5a550",
        marker="P",
        on_vectors=MOVE,
    ),
    Method(
        "gold",
        "Gold",
        "control: a player who knows the game",
        policy="lamobench.baselines.text.drrn:DRRN",
        config="lamobench.baselines.text.drrn:DRRNConfig",
        family="none",
        track="text",
        colour="#333333",
        dark="#aabecb",
        marker="^",
        on_vectors=MOVE,
    ),
    Method(
        "drrn-hash",
        "DRRN, hash",
        "texts by their hash: what they mean is lost",
        policy="lamobench.baselines.text.drrn:DRRN",
        config="lamobench.baselines.text.drrn:DRRNConfig",
        family="drrn",
        short="hash",
        track="text",
        colour="#DE7900",
        dark="#d57d00",
        marker="s",
        on_vectors=MOVE,
    ),
    Method(
        "drrn-glove",
        "DRRN, GloVe",
        "word vectors, which a recurrent network reads",
        policy="lamobench.baselines.text.drrn:DRRN",
        config="lamobench.baselines.text.drrn:DRRNConfig",
        family="drrn",
        short="GloVe",
        track="text",
        colour="#1A8A5F",
        dark="#67d2ad",
        marker="D",
        on_vectors=MOVE,
        weights="pretrained",
    ),
    Method(
        "drrn-glove-random",
        "DRRN, GloVe, random weights",
        "control: the same with word vectors drawn at random",
        policy="lamobench.baselines.text.drrn:DRRN",
        config="lamobench.baselines.text.drrn:DRRNConfig",
        family="drrn",
        short="GloVe random",
        track="text",
        colour="#775533",
        dark="#b7875e",
        marker="D",
        dashes=(5.0, 1.6),
        on_vectors=MOVE,
        listed=False,
        weights="random",
    ),
    Method(
        "drrn-glove-permuted",
        "DRRN, GloVe, permuted weights",
        "control: the values of all word vectors shuffled",
        policy="lamobench.baselines.text.drrn:DRRN",
        config="lamobench.baselines.text.drrn:DRRNConfig",
        family="drrn",
        short="GloVe permuted",
        track="text",
        colour="#8866AA",
        dark="#b24389",
        marker="D",
        dashes=(2.0, 1.4),
        on_vectors=MOVE,
        listed=False,
        weights="permuted",
    ),
    Method(
        "drrn-fixed",
        "DRRN, fixed LM",
        "sentences by a language model that stands still",
        policy="lamobench.baselines.text.drrn:DRRN",
        config="lamobench.baselines.text.drrn:DRRNConfig",
        family="drrn",
        short="fixed",
        track="text",
        colour="#0B4F9E",
        dark="#5283bf",
        marker="o",
        on_vectors=MOVE,
        weights="pretrained",
    ),
    Method(
        "drrn-fixed-random",
        "DRRN, fixed LM, random weights",
        "control: the same with scale-matched random weights",
        policy="lamobench.baselines.text.drrn:DRRN",
        config="lamobench.baselines.text.drrn:DRRNConfig",
        family="drrn",
        short="fixed random",
        track="text",
        colour="#3D9BD9",
        dark="#b4dcff",
        marker="o",
        dashes=(5.0, 1.6),
        on_vectors=MOVE,
        weights="random",
    ),
    Method(
        "drrn-fixed-permuted",
        "DRRN, fixed LM, permuted weights",
        "control: each tensor's values shuffled",
        policy="lamobench.baselines.text.drrn:DRRN",
        config="lamobench.baselines.text.drrn:DRRNConfig",
        family="drrn",
        short="fixed permuted",
        track="text",
        colour="#A23B72",
        dark="#c43b34",
        marker="o",
        dashes=(2.0, 1.4),
        on_vectors=MOVE,
        listed=False,
        weights="permuted",
    ),
)
METHODS = Registry("method", Method, _ALL)


def find_method(name: str) -> Method:
    """The method of that name; a `UserError` names the valid ones."""
    return METHODS.known(name) or METHODS[choose("method", name, list(METHODS))]


def look_up(name: str) -> Method:
    """The method of that name; of one that is not known here, a row with the name as its title and a look for all."""
    return METHODS.known(name) or Method(name, name, "", policy="", config="", family="")


def methods_of(track: str) -> list[str]:
    """The names of the methods of a track."""
    return [method.name for method in METHODS.values() if method.track == track]


def methods_for(*, discrete: bool) -> list[str]:
    """The names of the methods that a table of such a task has: LaMo, its first control, and every baseline."""
    return [
        method.name
        for method in METHODS.values()
        if method.track == "offline" and method.listed and method.plays(discrete=discrete)
    ]
