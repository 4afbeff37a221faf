"""Standard output and error, whatever they are connected to, and whoever wrote what is printed.

Any encoding, a reader that leaves, nothing at all; and text from others' files, which a terminal must not take for
commands.
"""

import codecs
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

# Signs of the suite's and of tyro's, and what stands for them where an encoding has none.
PLAIN = {
    **dict.fromkeys("╭╮╰╯", "+"),
    "─": "-",
    "│": "|",
    "█": "#",
    "░": ".",
    "•": "*",
    "…": "...",
    "→": "->",
    "—": "-",
    "±": "+/-",
    "“": '"',
    "”": '"',
}
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line end; C1's are escapes of one character


def prepare_streams() -> None:
    """Let standard output and error take any text: what they can't encode is written in plain signs, or as its code.

    Where one is closed, what is written to it goes nowhere, and no file of the program takes its place.
    """
    codecs.register_error("plain", in_plain_signs)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.set_inheritable(nowhere, True)  # programs that are started from here would find it closed again
            setattr(sys, name, os.fdopen(nowhere, "w", encoding="utf-8"))
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):  # not what a notebook or a test puts there
            stream.reconfigure(errors="plain")


def in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: `PLAIN`, else the sign's code, such as \\xe9."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    codes = (PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in signs)
    return "".join(codes), error.end


def let_go_of_streams() -> None:
    """Give up what can't be written any more: at its end, the interpreter would try again, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def printable(text: str) -> str:
    r"""The text with `\x1b` and the like in the place of control characters, which a terminal may take as orders."""
    return CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class PlainStream:
    """A stream that writes no control characters; a carriage return may begin or end a text, as progress bars' do.

    Whatever else a stream is asked is answered by the one beneath, `stream`.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self.stream = stream
        self.name = name

    def write(self, text: str) -> int:
        """Write the printable text."""
        inner = text.strip("\r")
        start = text.find(inner)
        with self._errors_named():
            self.stream.write(text[:start] + printable(inner) + text[start + len(inner) :])
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        with self._errors_named():
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            with open(os.devnull, "w") as nowhere:  # Python writes what is left on its way out, and must not fail again
                os.dup2(nowhere.fileno(), self.stream.fileno())
            raise OSError(error.errno, error.strerror, self.name) from None


@contextmanager
def plain_terminal() -> Iterator[None]:
    """Print no control characters until the end of the block, and see that all of it was written."""
    output = cast(TextIO, PlainStream(sys.stdout, "standard output"))
    errors = cast(TextIO, PlainStream(sys.stderr, "standard error"))
    with redirect_stdout(output), redirect_stderr(errors):
        yield
        output.flush()


def control(stream: TextIO, sequence: str) -> None:
    """Write a control sequence of our own."""
    getattr(stream, "stream", stream).write(sequence)
