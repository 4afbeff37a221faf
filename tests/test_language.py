"""Tests of how the code is worded: the first words of docstrings, one statement a thing, nouns for parameters, help."""

import ast
import inspect
import itertools
import re
from collections.abc import Iterator

import pytest

from lamobench.tests.test_house import ROOT, project_files

# A docstring begins with a verb or the noun that is returned. It begins neither in the middle of a sentence, nor with a
# bare shape ("Values (B,) of states (B, S)", not "(B,): values of states (B, S)"), nor with an error ("Raise a ...").
OPENINGS = re.compile(
    r"""\( | an?[ ]`\w+Error` |
    (also | and | as | at | before | because | behind | beside | below | between | but | by | else | for | from |
    how | if | in | into | it | its | like | nor | not | of | on | or | over | since | so | such | than | that |
    their | then | there | they | this | to | under | until | up | was | were | what | whatever | when | where |
    whether | which | while | who | whose | why | with | without | asked | called | given | killed | loaded |
    obeying | seen | trained | acts | asks | checks | chooses | collects | converts | deletes | downloads |
    evenly | nobody | nothing | those |
    draws | finds | imports | keeps | makes | opens | pays | predicts | raises | reads | remembers | resolves |
    stands | takes | turns | writes)\b""",
    re.IGNORECASE | re.VERBOSE,
)
WORDS_OF_HELP = 22  # between two full stops, semicolons or colons, at most
# Words that are no nouns: prepositions, adverbs, verbs, questions. And `order`, which does not say of what.
NO_NOUNS = re.compile(
    r"""about | after | again | alike | anew | apart | at | at_least | before | behind | below | beside | by | do
    | elsewhere | from | how | later | least | less | like | more | most | near | now | order | out | to | together_on
    | told | what | when | where | which | whose | why | within | without""",
    re.VERBOSE,
)


def documented(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the docstring of everything in a module that has one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text


def openings(tree: ast.AST) -> list[tuple[int, str]]:
    """The docstrings that begin with one of the `OPENINGS`."""
    return [(line, text.splitlines()[0]) for line, text in documented(tree) if OPENINGS.match(text)]


def needs_one_statement(targets: list[ast.expr], values: list[ast.expr]) -> bool:
    """Check whether a value reads a target that stands before it, as in a swap: in two statements it would change."""
    for place, value in enumerate(values):
        read = {ast.unparse(node) for node in ast.walk(value) if isinstance(node, ast.expr)}
        if read & {ast.unparse(target) for target in targets[:place]}:
            return True
    return False


def joined_assignments(tree: ast.AST) -> list[tuple[int, str]]:
    """The statements that give several values to several targets, though one statement each would do."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                if len(targets) == len(values) and not needs_one_statement(targets, values):
                    found.append((node.lineno, ast.unparse(node)))
    return found


def unfit_parameters(tree: ast.AST) -> list[tuple[int, str]]:
    """The parameters that have a name of `NO_NOUNS`."""
    given = [node for node in ast.walk(tree) if isinstance(node, ast.arg)]
    return [(node.lineno, node.arg) for node in given if NO_NOUNS.fullmatch(node.arg)]


def help_texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the help of each option: the docstring under a field, or what `arg(help=...)` says."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(body=body):
                for before, after in itertools.pairwise(body):
                    match before, after:
                        case ast.AnnAssign(), ast.Expr(value=ast.Constant(value=str(text))):
                            yield after.lineno, inspect.cleandoc(text)
            case ast.Call(func=ast.Name(id="arg"), keywords=keywords):
                yield from ((node.lineno, _text(word.value)) for word in keywords if word.arg == "help")


def _text(node: ast.expr) -> str:
    """The text of a string, with X for what is filled in when it runs."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in parts)


def unfit_help(tree: ast.AST) -> list[tuple[int, str]]:
    """The help texts that are no short sentences which begin with a capital letter and end with a full stop."""
    return [(line, text) for line, text in help_texts(tree) if not _is_fit_help(text)]


def _is_fit_help(text: str) -> bool:
    longest = max(len(part.split()) for part in re.split(r"[.;:]\s", text))
    return text[:1].isupper() and text.endswith(".") and not OPENINGS.match(text) and longest <= WORDS_OF_HELP


RULES = {"help": unfit_help, "opening": openings, "assignment": joined_assignments, "parameter": unfit_parameters}


@pytest.mark.parametrize("rule", RULES)
def test_the_code_keeps_to_the_rule(rule: str) -> None:
    found = []
    for path in sorted(project_files()):
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py":
            found += [f"{name}:{line}: {what}" for line, what in RULES[rule](ast.parse(path.read_text()))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("rule", "planted", "line"),
    [
        ("opening", '"""What a run is."""', 1),
        ("opening", 'class Run:\n    """As of any run."""', 2),
        ("opening", 'def values(states):\n    """(B,): values of states (B, S)."""', 2),
        ("opening", 'def check(share):\n    """A `UserError` unless it is a share."""', 2),
        ("opening", 'class Run:\n    def is_done(self):\n        """Whether, in the end, it is done."""', 3),
        ("help", 'class Train:\n    seed: int = 0\n    """Of the weights."""', 3),
        ("help", 'class Train:\n    seed: int = 0\n    """seed of the weights."""', 3),
        ("help", 'class Train:\n    seed: int = 0\n    """Seed of the weights"""', 3),
        ("help", f'class Train:\n    seed: int = 0\n    """Seed {"and seed " * 11}again."""', 3),
        ("help", "method: Annotated[str, arg(help=f'any of {names}.')]", 1),
        ("assignment", "steps, name = 20, 'bc'", 1),
        ("assignment", "def new(self):\n    self.low, self.high = low, high", 2),
        ("assignment", "a, b = b, 1", 1),
        ("parameter", "def merge(rows, by): ...", 1),
        ("parameter", "key = lambda row, *, alike: row", 1),
    ],
)
def test_a_breach_is_seen(rule: str, planted: str, line: int) -> None:
    ((seen, _),) = RULES[rule](ast.parse(planted))
    assert seen == line


@pytest.mark.parametrize(
    ("rule", "sound"),
    [
        ("opening", '"""Whatsoever."""\nwhat = 1'),
        ("help", 'class Train:\n    seed: int = 0\n    """Seed, or\n    none. The default: 0."""'),
        ("help", "method: Annotated[str, arg(help=f'{names} may be given.')]"),
        ("assignment", "a, b = b, a"),
        ("assignment", "old, new = new, old + new"),
        ("assignment", "low, high = bounds()"),
        ("parameter", "merge(rows, by=1)"),
    ],
)
def test_what_is_sound_passes(rule: str, sound: str) -> None:
    assert not RULES[rule](ast.parse(sound))
