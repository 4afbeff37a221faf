"""A method: its titles, its look in figures, its costs, the place of its code."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Milliseconds that a method takes."""

    update: float  # an optimiser step
    act: float  # choosing the action of a step of one episode
    more: float  # added to that for each further episode played side by side


UNKNOWN = Cost(30.0, 1.0, 0.1)  # of a method that nobody has measured


@dataclass(frozen=True)
class Method:
    """A method: its names, its look, its family, its costs and its code."""

    name: str
    title: str  # for tables and figures
    summary: str  # one line for `--help` and the documentation
    policy: str  # import path of its class, e.g. "lamobench.baselines.bc:BC"
    config: str  # import path of the dataclass of its settings
    family: str  # methods of a family share settings (`offline/settings.py`)
    short: str = ""  # title for narrow places; "": the title is short enough
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
    listed: bool = True  # whether a sweep without named methods includes it; variants and controls are not listed
    context: bool = False  # whether it chooses from several steps of history
    compiles: bool = True  # whether its steps go through torch.compile: not where they differ from one to the next
    stacks: bool = False  # whether several seeds can be trained in one pass (`offline/together.py`)
    weights: str = ""  # of the language model: "" for methods without one, else one of `lm.checkpoints.WEIGHTS`
    matched: bool = False  # whether its transformer has the shape of the language model that LaMo would adapt
    recorded: bool = False  # of text games: whether it learns from recorded ones, and has tables of its own

    def plays(self, *, discrete: bool) -> bool:
        """Check whether it can act where actions are discrete, or where they are not."""
        return self.discrete if discrete else self.continuous

    @property
    def label(self) -> str:
        """The short title."""
        return self.short or self.title
