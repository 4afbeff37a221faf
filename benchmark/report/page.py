"""Fill the templates: one HTML file with its style, script and pictures inside, which asks nothing of any network.

A content security policy in it lets the browser run and load nothing but what stands in the file as it was written.
"""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...datasets.counts import count, plural
from ...datasets.own_tasks import OWN_SCORES
from ...datasets.storage import write_text
from ..figures.card import readable
from ..runs.methods import METHODS, look_up
from ..runs.tracks import TRACKS, Track, find_track
from ..scores.compare import remark_letters, remarks_on
from ..scores.labels import titles_of
from ..scores.leaderboard import clearly_best
from ..scores.standings import Comparison
from ..terminal import duration
from . import cells, charts, marks, svg, training
from .beside import published_beside, published_rows
from .contents import DATA_SET, TASK, Contents, Page, Row, Setting, own_values, provenance
from .held_out import held_out_lines
from .overall import Block, compared_in, comparison_lines, overall
from .parts import part_of, terms_of
from .rewinds import Rewound, read_rewinds, rewind_charts
from .strips import Strip, read_strips

TEMPLATES = Path(__file__).with_name("templates")
FIRST_SCRIPT = 'document.documentElement.classList.add("js");'  # before anything is shown
FILTERS = {
    "dataset": "",  # `_subject`
    "fraction": "Share of the data",
    "method": "Method",
    "source": "Source",
    "profile": "Profile",
    "lm": "Language model",
}
COLUMNS = {  # of the leaderboard, shown when they are asked for
    "published": "published scores",
    "settings": "source, profile, language model",
    "cost": "parameters, steps, time",
    "evaluation": "best evaluation",
}


def write_report(contents: Contents, path: Path) -> list[str]:
    """Write the page, whole or not at all; the same runs give the same bytes. A line for each picture left out."""
    strips, problems = read_strips(contents)
    rewinds, unread = read_rewinds(contents)
    write_text(path, render_page(contents, strips, rewinds))
    return [*problems, *unread]


def render_page(
    contents: Contents, strips: Mapping[str, list[Strip]], rewinds: Mapping[str, list[Rewound]] = MappingProxyType({})
) -> str:
    """The page as text; `strips` are the pictures of each setting, by its anchor, `rewinds` the rewind curves."""
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8") + _method_colours()
    low, high = _range(contents)
    together = overall(contents.runs)
    parts = [(setting, part_of(setting)) for setting in contents.settings]
    template = _environment().get_template("report.html")
    return template.render(
        contents=contents,
        policy=_policy(style, FIRST_SCRIPT, script),
        style=Markup(style),
        first_script=Markup(FIRST_SCRIPT),
        script=Markup(script),
        marker_shapes=svg.marker_shapes(),
        version=contents.rows[0].values["version"],
        finished=max(contents.distinct("finished_at"), default=""),
        tiles=_tiles(contents),
        choices=_choices(contents),
        glossary=[(name, title, METHODS[name].summary) for name, title in _methods(contents) if name in METHODS],
        best={row.anchor for setting in contents.settings for row in _clearly_best(setting)},
        tracks=_tracks(contents),
        on_data=any(setting.on_data for setting in contents.settings),
        kinds=_kinds(together.blocks),
        subject=_subject(contents),
        terms=terms_of(contents),
        charts={setting.anchor: _charts(setting) for setting in contents.settings},
        tables={setting.anchor: part and part.table(setting) for setting, part in parts},
        passages={setting.anchor: part.passages(setting) if part else [] for setting, part in parts},
        overall=together,
        published_rows={setting.anchor: published_rows(setting) for setting in contents.settings},
        own_scores=OWN_SCORES,
        scored_by_themselves=_scored_by_themselves(contents),
        strips=strips,
        rewinds=rewinds,
        rewind_charts=rewind_charts,
        repeated=any(row.values["seeds"] > 1 for row in contents.rows),
        low=low,
        high=high,
    )


def _environment() -> Environment:
    """Templates, and what they call."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "COLUMNS": COLUMNS,
        "about_figures": charts.about_figures,
        "about_scores": _about_scores,
        "cell_text": cells.cell_text,
        "count": count,
        "duration": duration,
        "legend_key": cells.legend_key,
        "own_values": own_values,
        "percent": marks.percent,
        "plain": _plain,
        "provenance": provenance,
        "signed": marks.signed,
        "whiskers": cells.whiskers,
        "published": published_beside,
        "remark_letters": remark_letters,
        "remarks_on": remarks_on,
        "improvement": _improvement,
        "could_see": _could_see,
        "compared_in": compared_in,
        "comparison_lines": comparison_lines,
        "tally_bar": cells.tally_bar,
        "about_task": _about_task,
        "held_out_lines": held_out_lines,
    }
    return environment


def _method_colours() -> str:
    """The colours of each method's class, by light and in the dark."""
    looks = {svg.class_of(method.name): method for method in (*METHODS.values(), look_up(""))}
    return "".join(f".{name}{{--c:light-dark({look.colour},{look.dark})}}\n" for name, look in looks.items())


def _policy(style: str, *scripts: str) -> str:
    """The content security policy: nothing may be loaded, and nothing run but these."""
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    allowed = f"script-src {hashes}; style-src 'sha256-{_sha256(style)}'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _charts(setting: Setting) -> list[charts.Chart]:
    many = len(setting.fractions) > 1
    first = charts.over_fractions(setting) if many else charts.scores(setting, setting.fractions[0])
    first = replace(first, note=setting.about_drawn)
    if part := part_of(setting):
        return [first, *part.charts(setting)]
    measured = [training.held_out_curve(setting, fraction) for fraction in setting.fractions]
    learned = [training.learning_curve(setting, fraction) for fraction in setting.fractions]
    return [first, *learned, *filter(None, measured)]


def _tracks(contents: Contents) -> list[Track]:
    """The tracks of the pages, in order of display."""
    names = {setting.track for setting in contents.settings}
    found = {name: find_track(name) for name in names}
    return [found[name] for name in TRACKS if name in names]


def _kinds(blocks: Sequence[Block]) -> str:
    """The nouns for what the blocks are over."""
    kinds = dict.fromkeys(DATA_SET if block.source else TASK for block in blocks)
    return " and ".join(plural(2, kind) for kind in kinds)


def _subject(contents: Contents) -> str:
    """The title of what rows are on."""
    return " or ".join(contents.kinds).capitalize()


def _methods(contents: Contents) -> list[tuple[str, str]]:
    return titles_of(row.method for row in contents.rows)


def _clearly_best(setting: Setting) -> list[Row]:
    """Rows whose interval lies above every other one's at the same share of the data."""
    shares = [setting.at(fraction) for fraction in setting.fractions]
    places = [clearly_best([row.values for row in rows]) for rows in shares]
    return [rows[place] for rows, place in zip(shares, places, strict=True) if place is not None]


def _range(contents: Contents) -> tuple[float, float]:
    """The ends of all intervals, rounded outwards to tens, with the zero between them."""
    ends = [float(row.values[key]) for row in contents.rows for key in ("score_mean", "ci_low", "ci_high")]
    known = [end for end in ends if math.isfinite(end)]
    return min(0.0, 10 * math.floor(min(known) / 10)), max(10.0, 10 * math.ceil(max(known) / 10))


def _tiles(contents: Contents) -> list[dict[str, str]]:
    runs = [run for row in contents.rows for run in row.runs]
    seeds = sorted({row.values["seeds"] for row in contents.rows})
    hours = contents.hours
    sources = contents.distinct("source")
    about = {DATA_SET: f"from {', '.join(sources)}", TASK: ""}
    profiles = contents.distinct("profile")
    models = contents.distinct("lm")
    values = {
        "Runs": (f"{len(runs):,}", f"in {count(len(contents.rows), 'row')}"),
        **{plural(2, kind).capitalize(): (f"{number:,}", about[kind]) for kind, number in contents.kinds.items()},
        "Methods": (f"{len(_methods(contents)):,}", ""),
        "Seeds a row": (str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}", ""),
        "Profile": (profiles[0] if len(profiles) == 1 else f"{len(profiles)} of them", ", ".join(models)),
        "Training": (duration(3600 * hours), "in optimiser steps, all runs together"),
    }
    if devices := contents.distinct("device"):
        cores = " or ".join(contents.distinct("cpus"))
        versions = ", ".join(contents.distinct("torch"))
        values["Hardware"] = ("; ".join(devices[:3]), f"{cores} cores, torch {versions}")
    return [{"name": name, "value": value, "more": more} for name, (value, more) in values.items()]


def _choices(contents: Contents) -> list[dict[str, Any]]:
    """The filters that have something to choose: a name, a title, and the values with their titles."""
    choices = []
    for name, title in FILTERS.items():
        options = dict(_option(name, row) for row in contents.rows)
        options.pop("", None)
        if len(options) > 1:
            ordered = sorted(options.items(), key=lambda o: (float(o[0]) if name == "fraction" else 0.0, o[0]))
            choices.append({"name": name, "title": title or _subject(contents), "options": ordered})
    return choices


def _option(name: str, row: Row) -> tuple[str, str]:
    if name == "fraction":
        return (f"{row.fraction:g}" if row.share else "", row.share)
    text = row.title if name == "method" else str(row.values[name])
    return text, text


def _about_scores(setting: Setting) -> str:
    if all(row.values["seeds"] == 1 for row in setting.rows):
        return "Score of a single seed, which has no interval."
    best = "* clearly best: its interval lies above every other one in its column."
    return f"Score, mean over seeds, with its 95 % interval. {best}"


def _about_task(page: Page) -> str:
    values = page.settings[0].rows[0].values
    task = find_track(str(values["track"])).find_task(str(values["task"]))
    low, high = task.reference_scores
    where = f"{values['env_id'] or task.name} in {values['simulator']}"
    source = "" if task.score_source == OWN_SCORES else f" ({task.score_source})"
    asked = f" Policies that are told a return are asked for {float(values['target_return']):g}."
    part = part_of(page.settings[0])
    return (
        f"{where}, episodes of at most {task.horizon:,} steps. A return of "
        f"{readable(low)} scores 0 and one of {readable(high)} scores 100{source}."
        f"{asked if page.kind == DATA_SET else ''}{f' {part.about(page.settings[0])}' if part else ''}"
    )


def _scored_by_themselves(contents: Contents) -> list[str]:
    """Data sets whose scores of 0 and 100 nobody has published."""
    tasks = {page.dataset: page.settings[0].rows[0].values for page in contents.pages}
    found = {name: find_track(str(row["track"])).find_task(str(row["task"])) for name, row in tasks.items()}
    return [name for name, task in found.items() if task.score_source == OWN_SCORES]


def _improvement(comparison: Comparison) -> str:
    difference = comparison.difference
    probability = comparison.probability
    low = marks.signed(difference.low)
    high = marks.signed(difference.high)
    interval = f" [{low},{marks.SPACE}{high}]" if comparison.pairs > 1 else ""
    return f"{marks.signed(difference.value)}{interval}, {100 * probability.value:.0f}{marks.SPACE}%"


def _could_see(comparison: Comparison) -> str:
    """The true difference that would most likely have shown, where anything can be said of it."""
    detectable = comparison.spread.detectable
    return "" if math.isnan(detectable) else f"could see {marks.signed(detectable)}"


def _plain(value: Any) -> str:
    """A value of a configuration as text."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
