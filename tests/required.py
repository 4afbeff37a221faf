"""What tests can do without where it is not installed, unless somebody means them to run.

`LAMOBENCH_REQUIRE` names what must be there, e.g. "chromium ray": its tests then fail instead of being skipped.
"""

import os
from typing import NoReturn

import pytest

VARIABLE = "LAMOBENCH_REQUIRE"
KNOWN = ("chromium", "ray", "smollm2")


def lacking(name: str, how: str) -> NoReturn:
    """Skip the tests of what is not here, or fail them; `how` says what to type. For a test, a fixture or a module."""
    assert name in KNOWN
    if name in os.environ.get(VARIABLE, "").split():
        pytest.fail(f"{how} ({VARIABLE} names {name})", pytrace=False)
    pytest.skip(how, allow_module_level=True)
