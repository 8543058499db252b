"""The benchmark runs, and the decoding is not slower than the published one."""

from __future__ import annotations

import json
from pathlib import Path

from tools.bench_craft import WORDS, main


def test_decoding_is_not_slower_than_the_published_one(tmp_path: Path) -> None:
    main(["--only", "decode", "--rounds", "2", "--json", str(tmp_path / "figures.json")])
    rows = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["decode"]
    ours = [row for row in rows if row["name"] == "ours"]
    assert [row["words"] for row in ours] == list(WORDS)
    assert all(row["found"] > 5 for row in ours)
    assert all(row["faster"] > 1 for row in ours)  # measured: 3.5 to 6 times, in turns
