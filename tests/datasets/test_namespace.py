import subprocess
import sys
from pathlib import Path

import lamobench

ROOT = Path(lamobench.__file__).resolve().parent


def test_a_package_named_datasets_wins_over_our_folder(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("owner = 'somebody else'\n")
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(tmp_path)!r}]; import datasets; print(datasets.owner)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "somebody else\n", (
        "datasets/__init__.py must not exist: see docs/architecture.md" + done.stderr
    )
    assert not (ROOT / "datasets" / "__init__.py").exists()
