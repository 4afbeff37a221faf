"""Every method by name. Light: the command line's help reads this table, so nothing heavy is imported here."""

from dataclasses import dataclass

from ...datasets.errors import choose


@dataclass(frozen=True)
class Method:
    """What a method's name stands for."""

    name: str
    title: str  # for tables and figures
    summary: str  # one line for `--help` and the documentation
    discrete: bool = True  # whether it can choose among discrete actions
    continuous: bool = True  # whether it can give vectors of real numbers
    listed: bool = True  # whether a sweep that names no methods has it; the others are variants and controls
    compiles: bool = True  # whether its steps go through torch.compile: not where they differ from one to the next
    weights: str = ""  # of the language model: "" for methods without one, else a variant of `language_models`
    matched: bool = False  # whether its transformer has the shape of the language model that LaMo would adapt

    def plays(self, *, discrete: bool) -> bool:
        """Whether it can act where actions are discrete, or where they are not."""
        return self.discrete if discrete else self.continuous


_ALL = (
    Method("lamo", "LaMo", "GPT-2 frozen, low-rank updates, residual MLPs in and out", weights="pretrained"),
    Method(
        "lamo-random",
        "LaMo, random weights",
        "control: the same with scale-matched random frozen weights",
        weights="random",
    ),
    Method(
        "lamo-permuted",
        "LaMo, permuted weights",
        "control: each frozen tensor's values shuffled",
        listed=False,
        weights="permuted",
    ),
    Method(
        "lamo-initialised",
        "LaMo, fresh weights",
        "control: GPT-2 as it is before pre-training",
        listed=False,
        weights="initialised",
    ),
    Method("wiki-rl", "Wiki-RL", "all of a pre-trained GPT-2 trained, between linear layers", weights="pretrained"),
    Method("dt", "DT", "Decision Transformer trained from scratch"),
    Method("dt-matched", "DT, size-matched", "the same, as deep and wide as the language model of LaMo", matched=True),
    Method("cql", "CQL", "conservative Q-learning on soft actor-critic", discrete=False),
    Method("iql", "IQL", "implicit Q-learning: expectile values, weighted cloning", discrete=False),
    Method("td3-bc", "TD3+BC", "twin delayed policy gradients that clone the data", discrete=False, compiles=False),
    Method("rebrac", "ReBRAC", "TD3+BC with penalties on actor and critics", discrete=False, compiles=False),
    Method("rvs", "RvS", "cloning that is told the return that followed; in the kitchen, a goal", discrete=False),
    Method("discrete-cql", "CQL (QR-DQN)", "conservative Q-learning on quantiles of the return", continuous=False),
    Method("bcq", "BCQ", "Q-learning among the actions that an imitation of the data finds likely", continuous=False),
    Method("nfq", "NFQ", "neural fitted Q-iteration: deep Q-learning without a target network", continuous=False),
    Method("bc", "BC", "behavioural cloning with a multi-layer perceptron"),
    Method("bc-10", "BC, best 10 %", "behavioural cloning of the tenth of the episodes with the highest returns"),
)
METHODS = {method.name: method for method in _ALL}


def find_method(name: str) -> Method:
    """The method of that name; a `UserError` names the valid ones."""
    return METHODS[choose("method", name, list(METHODS))]


def methods_for(*, discrete: bool) -> list[str]:
    """The names of the methods that a table of such a task has: LaMo, its first control, and every baseline."""
    return [method.name for method in METHODS.values() if method.listed and method.plays(discrete=discrete)]
