"""The program `lamobench`. It imports next to nothing, so that it is there before all that takes time."""

import os
import sys
from types import FrameType

INTERRUPTED = 130  # what shells report of a program that Ctrl-C has ended
LISTS_OF_COMMANDS: tuple[list[str], ...] = ([], ["--help"], ["-h"])  # show no method, so plug-ins can be left alone
IMPORTING = "<frozen importlib._bootstrap>"  # the file of frames in which something is imported


def main() -> None:
    """Start `cli.main`. Ctrl-C in the middle of an import ends it at once, without a word."""
    sys.unraisablehook = _unraisable
    try:
        import signal  # takes a while

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where `nohup` or `&` has it ignored
            signal.signal(signal.SIGINT, _interrupt)
        if sys.argv[1:] not in LISTS_OF_COMMANDS:
            from ..runs.methods import METHODS

            METHODS.load_plug_ins()  # a command's help names them
        from .main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but end at once where extensions may be loaded: PyTorch's would abort."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """End at once where Ctrl-C came into a callback, which can't raise it: it would be lost."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        os._exit(INTERRUPTED)
    sys.__unraisablehook__(unraisable)
