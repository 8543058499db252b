"""Nothing asks the network: not the imports, not drawing data, not training, not scoring, not prediction."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NetworkUsedError

# Audit events come from the interpreter itself, below every library that patches or wraps sockets.
SCRIPT = """
import socket, sys
seen = []
def hook(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto") or (event == "socket.connect" and isinstance(args[1], tuple)):
        seen.append((event, str(args[-1])))
    elif event == "socket.__new__" and args[1] in (socket.AF_INET, socket.AF_INET6):
        seen.append((event, str(args[1])))
sys.addaudithook(hook)

import importlib, pkgutil
import backbones, detectors, finetune
for package in (backbones, detectors, finetune):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
imported = len(seen)

from finetune.cli import main
codes = [
    main(["sample-data", "signs", "data", "--images", "8"]),
    main(["sample-data", "words", "words", "--images", "2", "--size", "128", "128"]),
    main(["train", "--config", "smoke/tiny", "--data", "data", "--data.augment", "strong", "--out", "run"]),
    main(["evaluate", "run"]),
    main(["predict", "run", "data/val", "--out", "found"]),
]
commands = len(seen)
before = list(seen)
try:
    socket.getaddrinfo("localhost", 80)
except OSError:
    pass
print("imported", imported, "commands", commands, "codes", codes, "hook works", len(seen) > commands, before)
sys.exit(bool(before) or any(codes) or len(seen) == commands)
"""


def test_import_train_evaluate_and_predict_open_no_socket(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tmp_path / "found" / "predictions.json").is_file()


def test_the_guard_of_the_tests_refuses_the_network() -> None:
    with pytest.raises(NetworkUsedError):
        socket.create_connection(("example.org", 80), timeout=1)
    with pytest.raises(NetworkUsedError):
        socket.getaddrinfo("example.org", 80)
    with socket.socket() as tried, pytest.raises(NetworkUsedError):
        tried.connect(("192.0.2.1", 80))
