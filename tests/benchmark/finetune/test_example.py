import re
from pathlib import Path

import pytest

from lamobench.tests.test_house import ROOT


def test_the_example_of_the_page_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "finetune.md").read_text(), re.S)
    exec(compile(example, "docs/finetune.md", "exec"), {"__name__": "example"})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["finetune-bc", "finetune"]  # by id
    for line in lines:
        assert re.fullmatch(r"[a-z-]+: FAR \d\.\d\d, at its worst \d\.\d\d; area \d\.\d\d", line)
