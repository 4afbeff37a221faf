"""The model card of a pre-trained model, written from the run's own numbers."""

import math
from dataclasses import fields
from typing import TYPE_CHECKING

from .pretrain_config import PretrainConfig

if TYPE_CHECKING:
    from .pretrain import PretrainSummary

CARD = """\
# {name}

A GPT-2 of {parameters:,} parameters ({layers} layers of width {width}, {heads} heads, {context} positions) with its own
byte-level BPE vocabulary of {vocabulary:,} tokens, in transformers' own format.

**It is tiny and it is not GPT-2.** It exists so that everything about a pre-trained backbone (frozen weights, LoRA, the
auxiliary language loss, the controls) runs on a laptop without a network. It is for plumbing and controls: nothing it
does or fails to do says what language pre-training brings.

## What it learned
| model | nats per token, whole held-out part |
|---|---|
| uniform | {uniform_loss:.3f} |
| unigram (training counts, one added to each) | {unigram_loss:.3f} |
| bigram (training counts, Witten-Bell smoothing) | {bigram_loss:.3f} |
| **{name}** | **{held_out_loss:.3f}** |

Every held-out token is predicted once, from at most {context_before} tokens before it.

A sample (temperature 0.8, among the 40 likeliest tokens; the first one drawn):

{sample}

## Training
    {command}

{steps:,} steps of {batch_size} blocks of {context} tokens: {tokens_seen:,} tokens, {epochs:.1f} passes over the
training part, {seconds:,.0f} s of processor time ({precision}). AdamW, learning rate {learning_rate:g} at its peak
({warmup_steps} steps of warm-up, then a cosine to {final_learning_rate:.0%} of it), weight decay {weight_decay:g},
gradient norm clipped at {gradient_clip:g}, dropout {dropout:g}, seed {seed}.

| step | training loss | loss on the start of the held-out part |
|---|---|---|
{curve}

## Corpus
{corpus}

| part | paragraphs | tokens | SHA-256 of the token ids |
|---|---|---|---|
| training | {train_paragraphs:,} | {train_tokens:,} | `{train_sha256}` |
| held out | {held_out_paragraphs:,} | {held_out_tokens:,} | `{held_out_sha256}` |

A hash of the paragraph decides which part it is in. {dropped:,} held-out paragraphs that shared eight consecutive words
with the training part were dropped. The tokenizer was made from the training part; its SHA-256 is
`{tokenizer_sha256}`.

{sources_kind}: {sources}.

## Licence
{licence}
"""

DOCS = """\
`docs`: English from the docstrings and longer comments of the Python packages that lamobench's dependencies bring, and
of the standard library. Markup is removed. A paragraph is kept if it has at least eight words, begins with a capital,
ends with a sentence's end, and holds enough function words and few enough identifiers, numbers and formulas to be
prose; it is dropped if most of it differs from earlier sentences in names and numbers alone. The register is technical
and imperative, nothing like an encyclopaedia's. Other versions of the packages give another corpus."""

DOCS_LICENCE = """\
The weights are under this project's licence, MIT. The text they were trained on is not redistributed; it belongs to the
authors of the packages above, whose own licences are permissive (Apache 2.0, BSD, MIT, MIT-CMU, PSF)."""


def model_card(name: str, config: PretrainConfig, summary: "PretrainSummary") -> str:
    """The card of the model in a folder called `name`, in Markdown; every number in it comes from the run."""
    docs = config.corpus == "docs"
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    values |= {field.name: getattr(summary, field.name) for field in fields(summary)}
    values |= {
        "name": name,
        "uniform_loss": math.log(config.vocabulary),
        "context_before": config.context - 1,
        "epochs": summary.tokens_seen / summary.train_tokens,
        "command": command(name, config),
        "sample": "\n>\n".join(f"> {line.strip()}" for line in summary.sample.splitlines() if line.strip()),
        "curve": "\n".join(_row(point) for point in _thinned(summary.curve)),
        "corpus": DOCS if docs else f"The text file `{', '.join(summary.sources)}`.",
        "train_paragraphs": summary.paragraphs["train"],
        "held_out_paragraphs": summary.paragraphs["held_out"],
        "dropped": summary.paragraphs["dropped"],
        "sources_kind": "Versions" if docs else "SHA-256 of the file",
        "sources": ", ".join(f"{source} {version}" for source, version in sorted(summary.sources.items())),
        "licence": DOCS_LICENCE if docs else "The licence of the text applies to what is made of it.",
    }
    return CARD.format(**values)


def command(name: str, config: PretrainConfig) -> str:
    """The command line that trains `config` again: the folder's name and the options that differ from the defaults."""
    changed = [field.name for field in fields(config) if getattr(config, field.name) != field.default]
    options = "".join(f" --{option.replace('_', '-')} {getattr(config, option)}" for option in changed)
    return f"lamobench lm pretrain {name}{options}"


def _row(point: dict[str, float]) -> str:
    return f"| {point['step']:,.0f} | {point['train']:.3f} | {point['held_out']:.3f} |"


def _thinned(curve: list[dict[str, float]]) -> list[dict[str, float]]:
    """At most ten points, the last one among them."""
    stride = -(-len(curve) // 10)
    return curve[::-1][::stride][::-1]
