"""Standard output and error, whatever they are connected to: any encoding, a reader that leaves, nothing at all."""

import codecs
import io
import os
import sys

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


def prepare_streams() -> None:
    """Let standard output and error take any text: what they can't encode is written in plain signs, or as its code.

    Where one is closed, what is written to it goes nowhere, and no file of the program takes its place.
    """
    codecs.register_error("plain", in_plain_signs)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
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
