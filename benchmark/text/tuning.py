"""The choice of an agent's settings on games that are for nothing else: a `scores.tuning.Tuning`.

What is chosen goes into `settings.py` by hand: `Profile.chosen`. Agents of a language model that is trained have the
temperature and the learning rate of `drrn-fixed`, as which they begin; controls those of what they control
(`Parts.like`). So these are chosen first, then the language model's rate, then the coefficient of what holds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...datasets.errors import UserError, choose
from ...datasets.games.families import TUNING, TUNING_FAMILIES
from ..runs.methods import methods_of
from ..runs.tracks import Wanted
from ..scores.run import FinishedRun
from ..scores.tuning import Trial, check_tuning_seeds
from .config import ADAPTATION
from .measures import measure
from .resolve import at_hand, listed_methods, resolve

UNSEEN = {"view_episodes": 1, "headline_evaluations": 1}  # values are chosen by the learning curve alone
PULLED = ("drrn-l2-init", "drrn-ewc")
RECORDED = ("text-bc-hash", "text-bc-fixed", "text-lamo")  # chosen for where they are named, as all that is recorded
ACTORS = ("actor-critic-hash", "actor-critic-fixed")  # their weight of the entropy does what others' temperature does


@dataclass(frozen=True)
class Knob:
    """A setting that is chosen: among which values, and of which methods."""

    setting: str
    values: tuple[float, ...]
    methods: tuple[str, ...]
    first: bool = True  # whether it is chosen before others, which are tried with what was chosen


# Where the best of the first values lay at an end, two more are beyond it.
KNOBS = (
    Knob("temperature", (0.01, 0.02, 0.05, 0.1, 0.2, 0.3), ("drrn-hash", "drrn-fixed")),
    Knob("temperature", (0.05, 0.1, 0.2, 0.3), ("drrn-glove",)),
    Knob("learning_rate", (3e-4, 1e-3, 3e-3), ("drrn-hash", "drrn-glove", *RECORDED)),
    Knob("learning_rate", (3e-5, 1e-4, 3e-4, 1e-3, 3e-3), ("drrn-fixed", *ACTORS)),
    Knob("entropy", (0.01, 0.03, 0.1, 0.3, 1.0), ACTORS),
    # What is held has the rate of `drrn-top-k`.
    Knob("encoder_learning_rate", (1e-6, 3e-6, 1e-5, 1e-4, 1e-3), ("drrn-top-k",), first=False),
    Knob("encoder_learning_rate", (1e-5, 1e-4, 1e-3, 3e-3, 1e-2), ("drrn-lora",), first=False),
    Knob("encoder_learning_rate", (1e-5, 1e-4, 1e-3), ("drrn-full", "actor-critic-top-k"), first=False),
    Knob(f"{ADAPTATION}.coefficient", (1e-4, 1e-3, 1e-2), PULLED, first=False),
    Knob(f"{ADAPTATION}.coefficient", (0.1, 1.0, 10.0), ("drrn-distill",), first=False),
)


def trials(wanted: Wanted, setting: str, values: Sequence[float]) -> list[Trial]:
    """Every value of every knob, or of the setting that is named, on the tuning games of the task's family.

    With neither setting nor method, those that come first. A setting that `KNOBS` does not have takes values and
    methods too. A `UserError` for what does not fit.
    """
    asked = _on_tuning_games(wanted, setting, values)
    found = []
    for knob in _turned(asked, setting, values):
        for method in knob.methods:
            for value in knob.values:
                one = replace(asked, methods=(method,), settings={**asked.settings, knob.setting: value})
                found.append(Trial(method, knob.setting, value, tuple(resolve(one))))
    if not found:
        raise UserError(
            f"no setting is chosen for {' and '.join(wanted.methods)}; name one, e.g. --setting temperature"
        )
    return found


def area(run: FinishedRun) -> float:
    """The area under the learning curve; a `UserError` if a file of the run is damaged."""
    return measure(run).area


def _on_tuning_games(wanted: Wanted, setting: str, values: Sequence[float]) -> Wanted:
    """The request on games that nothing is reported of; a `UserError` for what does not fit."""
    check_tuning_seeds(wanted.seeds)
    games = f"{wanted.subject.removesuffix(f'-{TUNING}')}-{TUNING}"
    if games not in TUNING_FAMILIES:
        tunable = ", ".join(name.removesuffix(f"-{TUNING}") for name in TUNING_FAMILIES)
        raise UserError(f"there are no games to tune '{wanted.subject}' on; give one of {tunable}")
    if values and not setting:
        raise UserError("--values are those of one setting; name it too, e.g. --setting temperature")
    if setting and not (values and wanted.methods):
        choose(
            "setting to choose",
            setting,
            list(dict.fromkeys(knob.setting for knob in KNOBS)),
            "give --values and --methods for any other",
        )
    for method in wanted.methods:
        choose(f"method of {wanted.subject}", method, methods_of("text"))
    return replace(wanted, subject=games, budget=UNSEEN | dict(wanted.budget))


def _turned(wanted: Wanted, setting: str, values: Sequence[float]) -> list[Knob]:
    """The knobs with their methods that were asked for, or else play and are at hand.

    A setting, methods and values that were named together are taken as they are.
    """
    if setting and wanted.methods and values:
        return [Knob(setting, tuple(values), wanted.methods)]
    first = not setting and not wanted.methods
    knobs = [knob for knob in KNOBS if setting in ("", knob.setting) and (knob.first or not first)]
    listed = listed_methods()
    every = list(dict.fromkeys(method for knob in knobs for method in knob.methods if method in listed))
    chosen = wanted.methods or at_hand(every, wanted)
    return [
        replace(
            knob, methods=tuple(name for name in knob.methods if name in chosen), values=tuple(values) or knob.values
        )
        for knob in knobs
    ]
