"""`lamobench rewind`: what finished runs forgot of language, and what their scores need of what they changed."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from ...datasets.errors import UserError
from ..terminal import table_lines
from .options import check_threads

if TYPE_CHECKING:
    from ..scores.rewind import Rewind


@dataclass(frozen=True)
class RewindRuns:
    """Scale a finished run's updates of its language model from all down to none, and say at each step what it scores
    and how well it predicts a held-out text. It trains nothing; the curve is kept beside the run, for the report."""

    run_folders: Positional[tuple[Path, ...]]
    """Folders of finished runs of LaMo."""
    text: str = ""
    """Text to predict: wikitext-2, wikitext-103, docs or a file; empty: wikitext-2 if fetched, else docs."""
    kilobytes: int = 100
    """Kilobytes of the text that are read, in whole lines."""
    alphas: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """Factors of the updates: 1 is the run as it was trained, 0 its language model as it was before."""
    episodes: int = 20
    """Episodes played at each alpha, from the same starts."""
    lm: str = ""
    """Place of the runs' language model, if it is not where they were trained."""
    threads: int = 1
    """Processor threads."""
    device: str = "auto"
    """Device: auto, cpu or cuda."""
    json: bool = False
    """Print JSON instead of tables."""

    def run(self) -> None:
        """Measure run after run, and print each."""
        import torch

        from ...datasets.measured_text import measured_text
        from ..offline.rewind import rewind, rewindable
        from ..scores.rewind import check_alphas
        from ..training.devices import choose_device
        from .display import run_bar

        check_threads(self.threads)
        if not self.run_folders:
            raise UserError("no run is named; give the folder of a finished run of LaMo, e.g. runs/RUN")
        if self.episodes < 1:
            raise UserError(f"episodes is {self.episodes}; give 1 or more")
        alphas = check_alphas(self.alphas)
        torch.set_num_threads(self.threads)
        device = choose_device(self.device)
        configs = {folder: rewindable(folder, self.lm) for folder in self.run_folders}
        text = measured_text(self.text, 1000 * self.kilobytes)
        found = {}
        for folder, config in configs.items():
            bar, report = run_bar(folder.name, len(alphas))
            with bar:
                found[folder] = rewind(folder, config, text, alphas, self.episodes, device, report)
            if not self.json:
                print(_as_text(folder, found[folder]))
        if self.json:
            print(json.dumps([{"run": folder.name, **_as_row(one)} for folder, one in found.items()], indent=2))


def _as_row(found: "Rewind") -> dict[str, Any]:
    """All that is known of a curve."""
    areas = {
        "score_area": found.area(found.scores),
        "nats_change_area": found.area(found.nats_change),
        "bits_change_area": found.area(found.bits_change),
    }
    return asdict(found) | areas


def _as_text(folder: Path, found: "Rewind") -> str:
    """A curve as a table, and what it comes to."""
    rows = [
        {
            "alpha": f"{point.alpha:g}",
            "score": point.score,
            "nats a token": f"{point.nats_per_token:.3f}",
            "change": _change(nats),
            "bits a byte": f"{point.bits_per_byte:.3f}",
            "change ": _change(bits),
        }
        for point, nats, bits in zip(found.points, found.nats_change, found.bits_change, strict=True)
    ]
    about = (
        f"{folder.name}: {found.text}, {found.bytes:,} bytes, {found.tokens:,} tokens; before anything was added: "
        f"{found.nats_before:.3f} nats a token, {found.bits_before:.3f} bits a byte"
    )
    areas = (
        f"area under the curve: score {found.area(found.scores):.1f}, "
        f"change {_change(found.area(found.nats_change))} nats a token, "
        f"{_change(found.area(found.bits_change))} bits a byte"
    )
    return "\n".join([about, "", *table_lines(rows), "", areas, ""])


def _change(value: float) -> str:
    return f"{round(value, 3) + 0.0:+.3f}"  # no minus before a zero
