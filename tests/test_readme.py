"""The README's Python example runs as it stands, on fewer and smaller pictures and a smaller network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
SMALLER = {
    'root="signs", input_size=(320, 320)': 'root=ROOT, input_size=(64, 64), workers=0',
    '"tf_efficientnet_lite0", weights="imagenet"': '"test_efficientnet", weights="none"',
    "input_size=(320, 320))": "input_size=(64, 64))",
    "max_epochs=12": "max_epochs=1, enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False",
    'accelerator="auto"': 'accelerator="cpu"',
}


def test_the_first_example_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from finetune.samples.generate import generate_signs

    root = tmp_path / "signs"
    generate_signs(root, 8, 0)
    code = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    for original, smaller in SMALLER.items():
        assert original in code, f"the README no longer says {original!r}: bring this test along"
        code = code.replace(original, smaller)
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {"ROOT": str(root)}
    exec(compile(code, "README.md", "exec"), scope)
    printed = capsys.readouterr().out.strip().splitlines()[-1]
    assert "tensor" in printed or float(printed) >= 0
    assert scope["trainer"].global_step == 1  # type: ignore[attr-defined]
