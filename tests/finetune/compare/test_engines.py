"""Both engines give the same results, whatever is killed on the way: a worker, a machine, the driver."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.cli import main
from finetune.config_file import config_to_dict
from tests.finetune.tiny import tiny_config, write_squares

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 900.0
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray (pip install 'finetune-light[ray]')")


def wait_for(what: Callable[[], Any], driver: subprocess.Popen[str] | None = None) -> Any:
    """What a function gives as soon as it gives anything."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        if driver is not None and driver.poll() is not None:
            pytest.fail(f"the driver ended: {driver.communicate()[0]}")
        time.sleep(0.05)
    pytest.fail("waited in vain")


def job_processes(out: Path) -> dict[int, int]:
    """Number of the process of each job of a comparison that runs: to the number of its job."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if "--only-job" in words and str(out) in words:
            found[int(entry.name)] = int(words[words.index("--only-job") + 1])
    return found


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def in_the_middle(out: Path) -> int | None:
    """The process of a job that has finished an epoch and has more than half of them before it."""
    for process, job in job_processes(out).items():
        names = [file.parent.name for file in out.glob("runs/*/metrics.csv") if 2 <= len(file.read_text().splitlines()) <= EPOCHS // 2]
        if any(job_names(out)[job] == name for name in names):
            return process
    return None


def job_names(out: Path) -> list[str]:
    from finetune.compare.plan import jobs_of, load_plan

    return [job.name for job in jobs_of(load_plan(out))]


EPOCHS = 6
DRIVERS: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _end_drivers() -> Iterator[None]:
    """A test that fails leaves no driver behind; its jobs end with it."""
    yield
    while DRIVERS:
        DRIVERS.pop().kill()


def start(settings: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "finetune", "compare", "--out", str(out), "--profile", "false", "--job-cpus", "1", *words]
    command += [] if out.exists() else ["--config", str(settings), "--backbones", "test_efficientnet", "--seeds", "3", "--budget", f"{EPOCHS}ep"]
    DRIVERS.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "RAY_AUTH_MODE": "disabled"}))
    return DRIVERS[-1]


def finish(driver: subprocess.Popen[str]) -> str:
    said = driver.communicate(timeout=PATIENCE)[0]
    assert driver.returncode == 0, said
    return said


def results(out: Path) -> dict[tuple[str, int], Any]:
    """All that a run's figures are, by candidate and seed."""
    runs = json.loads((out / "comparison.json").read_text())["runs"]
    assert all(run["state"] == "finished" for run in runs), [(run["candidate"], run["failure"]) for run in runs]
    return {(run["candidate"], run["seed"]): (run["scores"], run["val_scores"], run["best_epoch"], [row["val/loss"] for row in run["curve"]]) for run in runs}


def attempts(out: Path) -> dict[str, int]:
    return {file.stem: json.loads(file.read_text())["run"]["attempts"] for file in (out / "jobs").glob("*.json")}


def finished(out: Path) -> set[str]:
    return {file.stem for file in (out / "jobs").glob("*.json") if json.loads(file.read_text())["run"]["state"] == "finished"}


def kill_driver_and_see_all_end(driver: subprocess.Popen[str], out: Path) -> None:
    driver.kill()
    driver.wait()
    wait_for(lambda: not job_processes(out))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    time.sleep(3)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}, "somebody goes on writing"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a run of a few seconds: epochs long enough to be caught in the middle."""
    folder = tmp_path_factory.mktemp("squares")
    tree = config_to_dict(tiny_config(write_squares(folder / "squares", {"train": 40, "valid": 6}), epochs=0))
    del tree["freeze"]["stages"]  # they have no meaning without a policy
    (folder / "tiny.yaml").write_text(json.dumps(tree))
    return folder / "tiny.yaml"


@pytest.fixture(scope="module")
def reference(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Any]:
    """What the local engine finds when nothing is disturbed, one job at a time."""
    out = tmp_path_factory.mktemp("reference") / "cmp"
    finish(start(settings, out))
    return results(out)


@pytest.fixture
def cluster() -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).with_name("ray_cluster.py"))]
    script = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"})
    assert script.stdin is not None
    assert script.stdout is not None
    yield script.stdout.readline().strip()
    script.stdin.close()
    script.wait(60)


@pytest.mark.slow
def test_a_killed_driver_leaves_no_process_behind_and_what_is_finished_is_not_repeated(settings: Path, reference: dict, tmp_path: Path) -> None:
    out = tmp_path / "cmp"
    driver = start(settings, out, "--jobs", "2")
    wait_for(lambda: finished(out) and in_the_middle(out), driver)
    kill_driver_and_see_all_end(driver, out)
    done, begun = finished(out), attempts(out)
    finish(start(settings, out, "--jobs", "2"))
    assert results(out) == reference
    assert done
    assert all(attempts(out)[name] == 1 for name in done)
    assert any(attempts(out)[name] == 2 for name in begun)


@pytest.mark.slow
@needs_ray
def test_ray_gives_the_job_of_a_lost_machine_and_of_a_lost_worker_to_another(settings: Path, reference: dict, cluster: str, tmp_path: Path) -> None:
    out = tmp_path / "cmp"
    driver = start(settings, out, "--engine", "ray", "--ray-address", cluster)
    process = wait_for(lambda: in_the_middle(out), driver)
    machine = parent_of(parent_of(process))  # the raylet, over the worker that runs the task
    assert "raylet" in Path(f"/proc/{machine}/cmdline").read_text()
    first = job_names(out)[job_processes(out)[process]]
    for lost in (machine, parent_of(process), process):
        os.kill(lost, signal.SIGKILL)
    wait_for(lambda: process not in job_processes(out), driver)
    process = wait_for(lambda: in_the_middle(out), driver)
    second = job_names(out)[job_processes(out)[process]]
    os.kill(parent_of(process), signal.SIGKILL)
    said = finish(driver)
    assert results(out) == reference
    assert attempts(out)[first] >= 2
    assert attempts(out)[second] >= 2
    assert "resum" in (out / "jobs" / f"{first}.log").read_text() + (out / "jobs" / f"{second}.log").read_text()
    assert said.count("(run) ...") == 3  # one line a job: that Ray did it again is Ray's own affair


@pytest.mark.slow
@needs_ray
def test_a_killed_driver_of_ray_goes_on_where_it_was(settings: Path, reference: dict, cluster: str, tmp_path: Path) -> None:
    out = tmp_path / "cmp"
    driver = start(settings, out, "--engine", "ray", "--ray-address", cluster)
    wait_for(lambda: finished(out) and in_the_middle(out), driver)
    kill_driver_and_see_all_end(driver, out)
    done = finished(out)
    finish(start(settings, out, "--engine", "ray", "--ray-address", cluster))
    assert results(out) == reference
    assert done
    assert all(attempts(out)[name] == 1 for name in done)


@pytest.mark.slow
@needs_ray
def test_ray_without_an_address_starts_a_cluster_here_and_a_stopped_driver_takes_it_down(settings: Path, reference: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # none means none, whatever else is known
    out = tmp_path / "cmp"
    driver = start(settings, out, "--engine", "ray")
    wait_for(lambda: in_the_middle(out), driver)
    driver.terminate()
    said = driver.communicate(timeout=PATIENCE)[0]
    assert driver.returncode == 143
    assert f"stopped; go on with: finetune compare --out {out}" in said.splitlines()[-1]
    wait_for(lambda: not job_processes(out))
    said += finish(start(settings, out, "--engine", "ray"))
    assert results(out) == reference
    assert "ray, 1 node with " in json.loads((out / "comparison.json").read_text())["engine"]
    assert "WARNING" not in said
    assert "authentication" not in said


def test_an_address_without_a_cluster_is_said_at_once() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens
        port = closed.getsockname()[1]
        command = [sys.executable, "-c", f"from finetune.compare.ray_engine import check_address; check_address('127.0.0.1:{port}')"]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stderr
    assert said.splitlines()[-1].endswith(f"--ray-address 127.0.0.1:{port}: no cluster there (Connection refused); start one with: ray start --head")


def test_without_ray_one_line_says_so_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code = main(["compare", "--backbones", "test_efficientnet=none,test_resnet=none", "--engine", "ray", "--out", str(tmp_path / "cmp")])
    assert code == 2
    assert capsys.readouterr().err.splitlines() == ["error: --engine ray needs a package that is not installed: pip install 'finetune-light[ray]'"]
    assert not (tmp_path / "cmp").exists()
