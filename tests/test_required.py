import re
from pathlib import Path

import pytest

from lamobench.tests.required import KNOWN, VARIABLE, lacking


def test_what_is_lacking_skips_its_tests_unless_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match="pip install it"):
        lacking("ray", "pip install it")
    monkeypatch.setenv(VARIABLE, "chromium")
    with pytest.raises(pytest.skip.Exception):
        lacking("ray", "pip install it")
    monkeypatch.setenv(VARIABLE, "chromium ray")
    with pytest.raises(pytest.fail.Exception, match=r"pip install it \(LAMOBENCH_REQUIRE names ray\)"):
        lacking("ray", "pip install it")


def test_continuous_integration_requires_everything_that_it_installs() -> None:
    script = (Path(__file__).parents[1] / ".ci" / "run").read_text()
    assert re.findall(rf'^export {VARIABLE}="(.*)"$', script, re.MULTILINE) == [" ".join(KNOWN)]
