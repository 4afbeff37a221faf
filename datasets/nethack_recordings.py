"""Every recording of NetHack by name, one row each. Plain data, light to import."""

from dataclasses import dataclass
from pathlib import Path

from .errors import choose
from .storage import home


@dataclass(frozen=True)
class NetHackRecording:
    """Games that the bot AutoAscend plays, one for each seed."""

    name: str
    games: int
    first_seed: int  # the others follow it
    description: str

    @property
    def seeds(self) -> range:
        """The seeds of its games."""
        return range(self.first_seed, self.first_seed + self.games)


NETHACK_RECORDINGS = {
    recording.name: recording
    for recording in (
        NetHackRecording("nethack-autoascend", 100, 1000, "100 games of a Human Monk by the bot AutoAscend"),
        NetHackRecording("nethack-autoascend-pilot", 30, 1000, "the first 30 of them: what a pilot takes"),
        NetHackRecording("nethack-autoascend-small", 4, 1000, "the first 4 of them: to try things out"),
    )
}


def path_of(name: str) -> Path:
    """The folder of a recording, whether or not it is there; a `UserError` names the valid names."""
    return home() / "nethack" / choose("recording of NetHack", name, list(NETHACK_RECORDINGS))
