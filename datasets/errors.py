"""The one error a user sees."""


class UserError(ValueError):
    """A mistake that the user can mend: one line that says what was given, what was expected, what to type.

    The command line prints the message and exits with status 2; the Python API raises it as it is.
    """


def choose(kind: str, given: str, valid: list[str], hint: str = "") -> str:
    """Return `given` if it is among `valid`; otherwise raise a `UserError` that names the valid ones, closest first."""
    if given in valid:
        return given
    if not valid:
        raise UserError(f"unknown {kind} '{given}': there are none{'; ' + hint if hint else ''}")
    from difflib import get_close_matches

    close = get_close_matches(given, valid, n=1, cutoff=0.5)
    meant = f"; did you mean '{close[0]}'?" if close else ""
    raise UserError(f"unknown {kind} '{given}'{meant} (valid: {', '.join(valid)}){'; ' + hint if hint else ''}")
