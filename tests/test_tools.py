"""Tools are run by their file name, as their docstrings and the docs say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = sorted((Path(__file__).resolve().parents[1] / "tools").glob("*.py"))
LEFT_OUT = {"forked_run", "same_run", "make_catalog", "packed_training"}  # modules and parts of other tools; make_catalog takes no words and writes the catalog


@pytest.mark.slow
@pytest.mark.parametrize("tool", [path for path in TOOLS if path.stem not in LEFT_OUT], ids=lambda path: path.stem)
def test_every_tool_starts_by_its_file_name(tool: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    shown = subprocess.run([sys.executable, str(tool), "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr[-500:]
    assert "usage:" in shown.stdout
