"""The model card of a pre-trained model, written from the run's own numbers."""

import math
from dataclasses import fields

from ...datasets.corpora import DOCS
from ...datasets.synthetic import MARKOV
from ...datasets.wikitext import PUBLISHED_ARTICLES
from .pretrain_config import PretrainConfig
from .pretrain_summary import PretrainSummary

CARD = """\
# {name}

A GPT-2 of {parameters:,} parameters ({layers} layers of width {width}, {heads} heads, {context} positions) with {whose}
byte-level BPE vocabulary of {vocabulary:,} tokens, in transformers' own format.

{purpose}

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

{last_step:,} steps of {batch_size} blocks of {context} tokens: {tokens_seen:,} tokens, {epochs:.1f} passes over the
training part, {seconds:,.0f} s of processor time ({precision}). AdamW, learning rate {learning_rate:g} at its peak
({warmup_steps} steps of warm-up, then a cosine to {final_learning_rate:.0%} of it{at_step}),
weight decay {weight_decay:g}, gradient norm clipped at {gradient_clip:g}, dropout {dropout:g}, seed {seed}.{remarks}

| step | training loss | loss on the start of the held-out part |
|---|---|---|
{curve}

## Corpus
{corpus}

| part | {pieces}tokens | SHA-256 of the token ids |
|---|{rule}---|---|
| training | {train_pieces}{train_tokens:,} | `{train_sha256}` |
| held out | {held_out_pieces}{held_out_tokens:,} | `{held_out_sha256}` |

{split}The tokenizer {tokenizer_from}; its SHA-256 is
`{tokenizer_sha256}`.

{sources_kind}: {sources}.

## Licence
{licence}
"""

PURPOSE = """\
**It is tiny and it is not GPT-2.** It exists so that everything about a pre-trained backbone (frozen weights, LoRA, the
auxiliary language loss, the controls) runs on a laptop without a network. It is for plumbing and controls: nothing it
does or fails to do says what language pre-training brings."""

EARLY_PURPOSE = """\
**It is a control: a model that learned little language.** It is the state after {last_step:,} of the {steps:,} steps of
a whole run, on that run's schedule: the counterpart of the early-stopped GPT-2 of Shi et al. (2024, figure 7). Beside
the whole run's model it tells whether more knowledge of language helps."""

SHUFFLED_PURPOSE = """\
**It is a control: a model that learned no language, only how frequent each token is.** It was trained on a corpus whose
tokens are in random order, as one of the GPT-2s of Shi et al. (2024, figure 7) was. Beside a model trained on the same
text in its own order it tells whether language itself helps, or any pre-training does. The unigram below is about the
best that any model can be; the bigram is worse, since what follows what is noise."""

MARKOV_PURPOSE = """\
**It is a control: a model that never saw language.** It was trained on a random Markov chain over {states} tokens, as
Wang et al. (2023, arXiv 2310.00771) pre-train Decision Transformers; they report that it helps those as much as
Wikipedia does, or more. Beside a language model it tells whether language itself helps, or any pre-training does. The
chain's entropy rate, given below under Corpus, is about the best that any model can be."""

SPLIT = """\
A hash of the paragraph decides which part it is in. {dropped:,} held-out paragraphs that shared eight consecutive words
with the training part were dropped. """

SHUFFLED_CORPUS = """

The tokens of each part were then put in random order, paragraph ends among them."""

MARKOV_CORPUS = """\
A one-step Markov chain. Its states are tokens of the vocabulary, drawn at random. Each row of its transition matrix is
the softmax of numbers drawn uniformly from [0, 1) and divided by the temperature. One chain runs through both parts."""

WIKITEXT = """\
`{name}`: WikiText (Merity et al. 2016, arXiv 1609.07843), raw, with its published split: the training part is the
published one, what is held out is the published validation part. An article is one piece of text."""

WIKITEXT_LICENCE = """\
The text is Wikipedia's (CC BY-SA 3.0, GFDL); its licence applies to what is made of it."""

DOCS_CORPUS = """\
`docs`: English from the docstrings and longer comments of the Python packages that lamobench's dependencies bring, and
of the standard library. Markup is removed. A paragraph is kept if it has at least eight words, begins with a capital,
ends with a sentence's end, and holds enough function words and few enough identifiers, numbers and formulas to be
prose; it is dropped if most of it differs from earlier sentences in names and numbers alone. The register is technical
and imperative, nothing like an encyclopaedia's. Other versions of the packages give another corpus."""

DOCS_LICENCE = """\
The weights are under this project's licence, MIT. The text they were trained on is not redistributed; it belongs to the
authors of the packages above, whose own licences are permissive (Apache 2.0, BSD, MIT, MIT-CMU, PSF)."""


def model_card(name: str, config: PretrainConfig, summary: PretrainSummary) -> str:
    """The card of the model in a folder called `name`, in Markdown; every number in it comes from the run."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    values |= {field.name: getattr(summary, field.name) for field in fields(summary)}
    values |= {
        "name": name,
        "purpose": _purpose(config),
        "whose": f"`{config.tokenizer}`'s" if config.tokenizer else "its own",
        "uniform_loss": math.log(config.vocabulary),
        "context_before": config.context - 1,
        "last_step": config.last_step,
        "at_step": f", at step {config.steps:,}, which it never reached" if config.stop_at else "",
        "remarks": _remarks(config),
        "epochs": summary.tokens_seen / summary.train_tokens,
        "command": command(name, config),
        "sample": "\n>\n".join(f"> {line.strip()}" for line in summary.sample.splitlines() if line.strip()),
        "curve": "\n".join(_row(point) for point in _thinned(summary.curve)),
    }
    return CARD.format(**(values | _about_corpus(config, summary)))


def _purpose(config: PretrainConfig) -> str:
    if config.corpus == MARKOV:
        return MARKOV_PURPOSE.format(states=config.markov_states)
    if config.order == "shuffled":
        return SHUFFLED_PURPOSE
    return EARLY_PURPOSE.format(last_step=config.last_step, steps=config.steps) if config.stop_at else PURPOSE


def _remarks(config: PretrainConfig) -> str:
    """Say how long a control was trained, beside `gpt2-mini`, and how the weights are stored."""
    share = f"\nThese are {config.last_step / PretrainConfig().steps:.0%} of the steps of `gpt2-mini`."
    rounding = "\nThe weights are stored, and were measured, as float16."
    return (share if _purpose(config) != PURPOSE else "") + (rounding if config.storage == "float16" else "")


def _about_corpus(config: PretrainConfig, summary: PretrainSummary) -> dict[str, str]:
    """The card's lines on the text: its parts, its sources and its licence."""
    match config.corpus:
        case name if name == DOCS:
            corpus = DOCS_CORPUS
            kind = "Versions"
            licence = DOCS_LICENCE
        case name if name == MARKOV:
            corpus = MARKOV_CORPUS
            kind = "The chain"
            licence = "The weights are under this project's licence, MIT."
        case name if name in PUBLISHED_ARTICLES:
            corpus = WIKITEXT.format(name=name)
            kind = "SHA-256 of the text"
            licence = WIKITEXT_LICENCE
        case _:
            corpus = f"The text file `{', '.join(summary.sources)}`."
            kind = "SHA-256 of the file"
            licence = "The licence of the text applies to what is made of it."
    counts = summary.paragraphs
    wikitext = config.corpus in PUBLISHED_ARTICLES
    return {
        "corpus": corpus + (SHUFFLED_CORPUS if config.order == "shuffled" else ""),
        "pieces": f"{'articles' if wikitext else 'paragraphs'} | " if counts else "",
        "rule": "---|" if counts else "",
        "train_pieces": f"{counts['train']:,} | " if counts else "",
        "held_out_pieces": f"{counts['held_out']:,} | " if counts else "",
        "split": SPLIT.format(dropped=counts["dropped"]) if counts and not wikitext else "",
        "tokenizer_from": f"is `{config.tokenizer}`'s" if config.tokenizer else "was made from the training part",
        "sources_kind": kind,
        "sources": ", ".join(f"{source} {value}" for source, value in sorted(summary.sources.items())),
        "licence": licence,
    }


def command(name: str, config: PretrainConfig) -> str:
    """The command line that trains `config` again: the folder's name and the options that differ from the defaults."""
    changed = [field.name for field in fields(config) if getattr(config, field.name) != field.default]
    options = "".join(f" --{option.replace('_', '-')} {getattr(config, option)}" for option in changed)
    return f"lamobench lm pretrain {name}{options}"


def _row(point: dict[str, float]) -> str:
    return f"| {point['step']:,.0f} | {point['train']:.3f} | {point['held_out']:.3f} |"


def _thinned(curve: list[dict[str, float]]) -> list[dict[str, float]]:
    """Ten points at most, the last one among them."""
    stride = -(-len(curve) // 10)
    return curve[::-1][::stride][::-1]
