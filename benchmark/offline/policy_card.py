"""The model card of a run's policy: README.md of what `lamobench hub push` publishes, written from the run alone."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ...datasets.catalog import find_task
from ...datasets.counts import count
from ..lm.published import PUBLISHED
from ..runs.episodes import parse_episodes
from ..runs.methods import METHODS
from ..runs.records import content_of, read_config, read_done
from ..scores.collect import read_finished
from ..sharing.files import Facts
from .config import OfflineConfig

CARD = """\
{front_matter}
# {title} on {dataset}

{summary}, trained offline on {share} of the data set `{dataset}` (task {task}, environment `{env_id}`) with
lamobench, an RL benchmark that asks whether language pre-training helps. The policy of one run:
`{run}`.

## Result

| | |
|---|---|
| mean return of these weights, {played} at target return {target:g} | **{mean:.2f}** {interval} |
| the same as a score (0: a return of {low:g}, 100: {high:g}) | **{score:.2f}** {score_interval} |
| score of the run, mean over its last {headline} evaluations: what the leaderboard ranks | {ranked:.2f} |
| mean episode length | {length:.1f} steps |

The 95 % interval is Student's, over the episodes of one policy. It says how well *these weights* play, nothing of how
the method does with another seed.{starts}

| step | score |
|---|---|
{curve}

## Use

```
lamobench hub pull {repository}
lamobench evaluate runs/{run}
```

{needs}

## How it was trained

{command}| | |
|---|---|
| method | {title} (`{method}`): {summary} |
| profile | {profile} |
| optimiser steps | {steps:,}, batches of {batch_size} |
| seed | {seed} (subset: {data_seed}) |
| precision | {precision} |
| parameters | {params_total:,}, of which {params_trainable:,} trained |
| training | {train_seconds:,.0f} s{machine} |
| simulator | {simulator} |
| lamobench | {version}{torch} |
{language_model}{legacy}
Settings of the method:

```json
{settings}
```

## Data

| | |
|---|---|
| data set | `{dataset}`, source `{source}` |
| SHA-256 of its content | `{dataset_hash}` |
| trained on | {trained_on}, {share} ({selection}) |
| SHA-256 of the subset | `{subset_hash}` |

## Limits

{limits}

## Files

Weights are safetensors, everything else is text; nothing here is pickled or run. `lamobench hub pull` checks all of it.

| file | bytes | SHA-256 |
|---|---|---|
{files}
"""

SOURCE_LIMITS = {
    "recorded": "The data were recorded by lamobench's own players in the simulator. They are not D4RL's, and no "
    "number here can be compared with a published one.",
}
ONE_SEED = "One seed: another may play quite differently. Only intervals over seeds compare methods."
CPU_PROFILE = "The `cpu` profile is small on purpose: most methods stop long before they have converged."
ABOUT = {  # language models
    "gpt2-mini": "`gpt2-mini` is not GPT-2: it has 1.4 million parameters and read little. It is for plumbing and "
    "controls.",
    "smollm2": "`smollm2` is SmolLM2-135M-Instruct, tuned to answer in chats, its weights quantised to 4 bits.",
}
ATARI = " Without sticky actions an Atari game has 30 different starts, so episodes are not independent."


def policy_card(folder: Path, repository: str, files: Mapping[str, Facts]) -> str:
    """The card of the finished run in `folder`, for a repository of that name; Markdown with a YAML head."""
    config = read_config(folder)
    assert isinstance(config, OfflineConfig)
    listed = [f"| `{name}` | {facts['size']:,} | `{facts['sha256']}` |" for name, facts in sorted(files.items())]
    values = vars(config) | _configured(config) | _played(folder, config) | _trained(read_done(folder))
    return CARD.format(**values, repository=repository, files="\n".join(listed))


def _configured(config: OfflineConfig) -> dict[str, Any]:
    """The values of a card that the configuration says."""
    task = find_task(config.task)
    method = METHODS[config.method]
    low, high = task.reference_scores
    return {
        "title": method.title,
        "summary": method.summary[0].upper() + method.summary[1:],
        "share": "all" if config.fraction == 1 else f"{100 * config.fraction:g}%",
        "trained_on": count(config.episodes_in_subset, "episode"),
        "run": config.id,
        "low": low,
        "high": high,
        "headline": config.headline_evaluations,
        "starts": ATARI if task.frame_stack else "",
        "needs": _needs(config),
        "command": _command(config),
        "language_model": _language_model(config),
        "legacy": f"| faults of the published code, put back | {', '.join(config.legacy)} |\n" if config.legacy else "",
        "settings": json.dumps(_shown(config.policy), sort_keys=True, indent=2),
        "limits": "\n".join(f"- {limit}" for limit in _limits(config)),
    }


def _played(folder: Path, config: OfflineConfig) -> dict[str, Any]:
    """The values of a card that the run's evaluations say."""
    result = read_finished(folder).result
    normalise = find_task(config.task).normalise
    episodes = parse_episodes(content_of(folder, "episodes.csv"))
    last = [e for e in episodes if e.step == config.steps and math.isclose(e.target_return, result.target_return)]
    mean, half = _interval(np.array([e.episode_return for e in last]))
    curve = zip(result.curve_steps, result.curve_scores, strict=True)
    return {
        "front_matter": front_matter(config, result.target_return, (mean, half), len(last)),
        "played": count(len(last), "episode"),
        "target": result.target_return,
        "mean": mean,
        "interval": _bracketed(mean - half, mean + half),
        "score": normalise(mean),
        "score_interval": _bracketed(normalise(mean - half), normalise(mean + half)),
        "ranked": result.score,
        "length": float(np.mean([e.length for e in last])),
        "curve": "\n".join(f"| {step:,} | {score:.2f} |" for step, score in curve),
    }


def _trained(done: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a card that were noted at the end of training; older runs lack some."""
    on_a_machine = {"device", "threads"} <= done.keys()
    return {
        "params_total": done["params_total"],
        "params_trainable": done["params_trainable"],
        "train_seconds": done["train_seconds"],
        "machine": f" (device: {done['device']}, threads: {done['threads']})" if on_a_machine else "",
        "torch": f", PyTorch {done['torch']}" if "torch" in done else "",
        "simulator": done["simulator"],
    }


def front_matter(config: OfflineConfig, target: float, spread: tuple[float, float], episodes: int) -> str:
    """The head that the Hub reads: what it is, what it plays, how well."""
    from huggingface_hub import EvalResult, ModelCardData

    mean, half = spread
    result: dict[str, Any] = {
        "task_type": "reinforcement-learning",
        "task_name": f"offline reinforcement learning, evaluated in {config.env_id}",
        "dataset_type": config.dataset,
        "dataset_name": f"{config.dataset} ({config.source})",
        "dataset_revision": config.dataset_hash,
        "dataset_args": {"fraction": config.fraction, "subset": config.subset_hash},
    }
    args = {"interval": "95 %, Student's, over episodes", "episodes": episodes, "target_return": target}
    normalise = find_task(config.task).normalise
    title = METHODS[config.method].title
    score = normalise(mean)
    score_half = normalise(mean + half) - normalise(mean)
    data = ModelCardData(
        library_name="lamobench",
        pipeline_tag="reinforcement-learning",
        tags=["reinforcement-learning", "offline-rl", "lamobench", config.env_id, config.dataset, config.method],
        base_model=PUBLISHED[config.lm].name if config.lm in PUBLISHED else None,
        model_name=f"{title} on {config.dataset}",
        eval_results=[
            EvalResult(metric_type=kind, metric_value=value, metric_args=args, **result)
            for kind, value in (("mean_reward", _spread(mean, half)), ("normalized_score", _spread(score, score_half)))
        ],
    )
    return f"---\n{data.to_yaml()}\n---"


def _interval(returns: Any) -> tuple[float, float]:
    """Mean of returns (E,) and half the width of its 95 % interval, Student's; NaN for a single episode."""
    if len(returns) < 2:
        return float(returns.mean()), math.nan
    error = float(returns.std(ddof=1)) / math.sqrt(len(returns))
    return float(returns.mean()), float(stats.t.ppf(0.975, len(returns) - 1)) * error


def _spread(mean: float, half: float) -> str:
    """Format a mean and its half interval as the Hub's tables of reinforcement learning have them."""
    return f"{mean:.2f}" if math.isnan(half) else f"{mean:.2f} +/- {half:.2f}"


def _bracketed(low: float, high: float) -> str:
    return "(one episode: no interval)" if math.isnan(low) else f"[{low:.2f}, {high:.2f}]"


def _needs(config: OfflineConfig) -> str:
    """Say what is needed beside these files."""
    if not config.lm:
        return "Nothing else is needed: `data.json` holds what the policy has to know of its data."
    fetch = f" (`lamobench lm fetch {config.lm}`)" if config.lm in PUBLISHED else ""
    return (
        "**The checkpoint holds only what training changed.** It needs the language model "
        f"`{_lm_name(config)}`{fetch}, whose hash is checked. The data are not needed: `data.json` holds what the "
        "policy has to know of them."
    )


def _shown(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as the card shows them: of a file only its name, for where it lay is nobody's business."""
    return {name: Path(value).name if isinstance(value, str) else value for name, value in settings.items()}


def _lm_name(config: OfflineConfig) -> str:
    return Path(config.lm).name


def _language_model(config: OfflineConfig) -> str:
    if not config.lm:
        return ""
    kind = METHODS[config.method].weights
    return f"| language model | `{_lm_name(config)}`, {kind} weights, hash `{config.lm_hash}` |\n"


def _command(config: OfflineConfig) -> str:
    """The command that trains it again, where one is known: not if settings were changed by hand."""
    if config.profile not in ("cpu", "paper") or "/" in config.lm:
        return "Trained with settings of its own; the file config.json has every one of them.\n\n"
    options = [f"--method {config.method}", f"--fraction {config.fraction:g}", f"--seed {config.seed}"]
    options += [f"--data-seed {config.data_seed}"] if config.data_seed != config.seed else []
    options += [f"--source {config.source}", f"--profile {config.profile}"]
    options += [f"--selection {config.selection}"] if config.selection != "uniform" else []
    options += [f"--lm {config.lm}"] if config.lm else []
    return f"```\nlamobench train {config.dataset} {' '.join(options)}\n```\n\n"


def _limits(config: OfflineConfig) -> list[str]:
    limits = [SOURCE_LIMITS[config.source]] if config.source in SOURCE_LIMITS else []
    limits += [CPU_PROFILE] if config.profile.startswith("cpu") else []
    limits += [ABOUT[config.lm]] if config.lm in ABOUT else []
    limits += [f"It reproduces faults of the published code: {', '.join(config.legacy)}."] if config.legacy else []
    return [*limits, ONE_SEED, "It was trained and evaluated in simulation only; it is no controller for a machine."]
