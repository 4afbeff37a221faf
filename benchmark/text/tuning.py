"""The choice of an agent's settings on games that are for nothing else: a `scores.tuning.Tuning`.

What is chosen goes into `settings.py` by hand: `Profile.chosen`. Agents of a language model that is trained have the
temperature and the learning rate of `drrn-fixed`, as which they begin; controls those of what they control.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...datasets.errors import UserError, choose
from ...datasets.games.families import TUNING, TUNING_FAMILIES
from ..runs.methods import methods_of
from ..runs.tracks import Wanted
from ..scores.run import FinishedRun
from ..scores.tuning import Trial, check_tuning_seeds
from .config import ADAPTATION
from .measures import measure
from .resolve import CONTINUES, at_hand, listed_methods, resolve
from .settings import PARTS

UNSEEN = {"view_episodes": 1, "headline_evaluations": 1}  # values are chosen by the learning curve alone
STILL = ("drrn-hash", "drrn-glove", "drrn-fixed")
HELD = ("drrn-l2-init", "drrn-distill", "drrn-ewc")
TRAINED = tuple(name for name, parts in PARTS.items() if parts.adaptation != "fixed" and parts.agent != CONTINUES)
RECORDED = ("text-bc-hash", "text-bc-fixed", "text-lamo")  # chosen for where they are named, as all that is recorded
ACTORS = ("actor-critic-hash", "actor-critic-fixed")  # their weight of the entropy does what others' temperature does


@dataclass(frozen=True)
class Knob:
    """A setting that is chosen: among which values, and of which methods."""

    values: tuple[float, ...]
    methods: tuple[str, ...]


KNOBS = {
    "temperature": Knob((0.05, 0.1, 0.2, 0.3), STILL),
    "learning_rate": Knob((3e-4, 1e-3, 3e-3), STILL + ACTORS + RECORDED),
    "entropy": Knob((0.01, 0.03, 0.1), ACTORS),
    "encoder_learning_rate": Knob((1e-5, 1e-4, 1e-3), TRAINED),
    f"{ADAPTATION}.coefficient": Knob((0.1, 1.0, 10.0), HELD),
}


def trials(wanted: Wanted, setting: str, values: Sequence[float]) -> list[Trial]:
    """Every value of every setting of `KNOBS`, or of the one that is named, on the tuning games of the task's family.

    A setting that `KNOBS` does not have takes values and methods too. A `UserError` for what does not fit.
    """
    asked = _on_tuning_games(wanted, setting, values)
    found = []
    for name, methods in _tuned_methods(asked, setting).items():
        for method in methods:
            for value in values or KNOBS[name].values:
                one = replace(asked, methods=(method,), settings={**asked.settings, name: value})
                found.append(Trial(method, name, value, tuple(resolve(one))))
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
        choose("setting to choose", setting, list(KNOBS), "give --values and --methods for any other")
    for method in wanted.methods:
        choose(f"method of {wanted.subject}", method, methods_of("text"))
    return replace(wanted, subject=games, budget=UNSEEN | dict(wanted.budget))


def _tuned_methods(wanted: Wanted, setting: str) -> Mapping[str, Sequence[str]]:
    """The methods that each setting is chosen for: its own, if they were asked for, or else play and are at hand.

    A setting and methods that were named together are taken as they are.
    """
    if setting and wanted.methods:
        return {setting: wanted.methods}
    tuned = {name: KNOBS[name].methods for name in ([setting] if setting else KNOBS)}
    listed = listed_methods()
    every = list(dict.fromkeys(method for methods in tuned.values() for method in methods if method in listed))
    chosen = wanted.methods or at_hand(every, wanted)
    return {name: [method for method in methods if method in chosen] for name, methods in tuned.items()}
