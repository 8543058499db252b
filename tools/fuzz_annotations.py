"""Damage small data sets of boxes (COCO, VOC) or words (ICDAR and others) at random and see that reading them works or ends in one clear line.

python tools/fuzz_annotations.py --cases 100000 --seed 0 --jobs 2
python tools/fuzz_annotations.py --kind text --cases 20000 --seed 0
python tools/fuzz_annotations.py --seed 0 --case 4711 --keep kept      # one case again, its files kept

A case fails when anything but DataError or UsageError is raised, the message is not one printable line that names a file,
what was read breaks an invariant, or it takes seconds or hundreds of megabytes. Exit code 1 then.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzzing.case import Outcome, make_case, store_pictures
from fuzzing.templates import Template, own_templates, real_templates
from fuzzing.text_templates import own_text_templates, real_text_templates
from fuzzing.workers import Tally, run_cases, run_watched

SHOWN_FAULTS = 20


def real_data_folder() -> Path:
    """Where real data may be: FINETUNE_TEST_DATA, else the shared folder beside the checkout."""
    return Path(os.environ.get("FINETUNE_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def run_one(seed: int, case: int, templates: list[Template], place: Path, store: Path, keep: Path | None) -> int:
    """Run one case again and tell everything about it."""
    template, plan, config, kinds = make_case(seed, case, templates)
    print(f"case {case} of seed {seed}: {template.name}; {', '.join(kinds)}; {config}")
    outcome, seconds = run_watched(seed, case, templates, keep or place / "one", store, keep=keep is not None)
    for message in outcome.messages:
        print(f"  {message}")
    for fault in outcome.faults:
        print(f"  FAULT {fault}")
    print(f"{seconds:.3f} s" + (f"; files kept in {keep}" if keep else f"; {len(plan.files)} files"))
    return 1 if outcome.faults else 0


def print_table(title: str, counts: Counter[tuple[str, str]]) -> None:
    """Rows and columns of a tally."""
    columns = sorted({column for _, column in counts})
    rows = sorted({row for row, _ in counts})
    width = max(len(title), *(len(row) for row in rows))
    print(f"\n{title:{width}} " + " ".join(f"{column:>10}" for column in columns))
    for row in rows:
        print(f"{row:{width}} " + " ".join(f"{counts[row, column]:>10}" for column in columns))


def print_report(tally: Tally, seconds: float, seed: int, kind: str, wanted: int) -> None:
    """The whole tally, and the first case of every fault."""
    for title, counts in (("entry point", tally.results), ("data set", tally.by_template), ("damage", tally.by_damage)):
        if counts:
            print_table(title, counts)
    print(f"\n{tally.cases} cases in {seconds:.0f} s, {tally.cases / max(seconds, 1e-9):.0f} a second; slowest: case {tally.slowest[1]} with {tally.slowest[0]:.2f} s")
    kinds: dict[str, list[Outcome]] = {}
    for outcome in tally.failed:
        kinds.setdefault(outcome.faults[0][:80], []).append(outcome)
    for outcomes in sorted(kinds.values(), key=len, reverse=True)[:SHOWN_FAULTS]:
        first = min(outcomes, key=lambda outcome: outcome.case)
        print(f"\nFAULT, {len(outcomes)} times: {first.faults[0][:300]}\n  {first.template}; {', '.join(first.damage)}; again with --kind {kind} --seed {seed} --case {first.case}")
        print("\n".join(f"  {message}" for message in first.messages if "Traceback" in message))
    if tally.cases < wanted:
        print(f"interrupted: {wanted - tally.cases} cases were not run")
    print(f"{tally.faults} of {tally.cases} cases failed" if tally.faults else "no case failed")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("boxes", "text"), default="boxes", help="what the data sets hold (default boxes)")
    parser.add_argument("--cases", type=int, default=1000, help="how many cases (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="chooses the damage (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: cores)")
    parser.add_argument("--case", type=int, help="run only this case, in this process, and show what it says")
    parser.add_argument("--keep", type=Path, help="with --case: write its files here and leave them")
    parser.add_argument("--own", action="store_true", help="no pieces of real data (they change what the case numbers mean)")
    parser.add_argument("--quiet", action="store_true", help="no progress line")
    given = parser.parse_args(arguments)
    own, real = (own_text_templates, real_text_templates) if given.kind == "text" else (own_templates, real_templates)
    templates = [*own(), *([] if given.own else real(real_data_folder()))]
    shared_memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="fuzz-", dir=shared_memory if os.access(shared_memory, os.W_OK) else None))
    try:
        store_pictures(templates, place / "store")
        if given.case is not None:
            return run_one(given.seed, given.case, templates, place, place / "store", given.keep)
        print(f"{given.cases} cases of seed {given.seed} on {len(templates)} data sets, {given.jobs} processes", flush=True)
        start = time.monotonic()

        def progress(tally: Tally) -> None:
            if not given.quiet and sys.stderr.isatty():
                print(f"\r{tally.cases} cases, {tally.faults} failed, {tally.cases / (time.monotonic() - start):.0f} a second ", end="", file=sys.stderr, flush=True)

        tally = run_cases(given.seed, range(given.cases), max(1, min(given.jobs, given.cases)), templates, place, place / "store", progress)
        print_report(tally, time.monotonic() - start, given.seed, given.kind, given.cases)
        return 1 if tally.faults or tally.cases != given.cases else 0
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
