"""Say what is in a wheel, and fail when something is missing or should not be there."""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("backbones", "detectors", "finetune")


def expected_files() -> set[str]:
    """What the checkout says belongs in: the modules of the packages, their data files, words and templates, and the configs."""
    inside = {path.relative_to(ROOT).as_posix() for package in PACKAGES for suffix in ("py", "json", "yaml", "html", "css", "js", "txt") for path in (ROOT / package).rglob(f"*.{suffix}")}
    configs = {f"finetune/{path.relative_to(ROOT).as_posix()}" for suffix in ("yaml", "py") for path in (ROOT / "configs").rglob(f"*.{suffix}")}
    return inside | configs


def main(wheel: Path) -> int:
    """List the wheel and compare it with the checkout."""
    names = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    for name in sorted(names):
        print(f"  {name}")
    missing, extra = expected_files() - names, names - expected_files()
    for name in sorted(missing):
        print(f"missing in the wheel: {name}")
    for name in sorted(extra):
        print(f"does not belong in the wheel: {name}")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1024:.0f} KiB")
    return 1 if missing or extra else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
