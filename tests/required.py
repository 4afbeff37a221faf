"""Skip the tests of programs that are not installed, unless somebody means them to run.

`LAMOBENCH_REQUIRE` names what must be there, e.g. "chromium ray": its tests then fail instead of being skipped.
"""

import os
from typing import NoReturn

import pytest

VARIABLE = "LAMOBENCH_REQUIRE"
KNOWN = ("chromium", "ray", "smollm2", "metaworld")


def lacking(name: str, advice: str) -> NoReturn:
    """Skip the tests of what is not here, or fail them; `advice` says what to type. For tests, fixtures and modules."""
    assert name in KNOWN
    if name in os.environ.get(VARIABLE, "").split():
        pytest.fail(f"{advice} ({VARIABLE} names {name})", pytrace=False)
    pytest.skip(advice, allow_module_level=True)
