"""Profiles as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.box import SIMPLE
from rich.table import Table

from finetune.console import console
from finetune.finders.memory import gibibytes
from finetune.profile.record import Cost, Peak, ProfileRecord
from finetune.profile.rules import OPERATOR_KINDS

_BUSY = 0.5  # load for each core from which times are doubtful


def print_profiles(records: Sequence[ProfileRecord]) -> None:
    """Sizes, latency, memory, and where the time goes; under which conditions stands below."""
    _print_sizes(records)
    if any(record.latencies for record in records):
        _print_latency(records)
    if any(record.memory for record in records):
        _print_memory(records)
    if any(record.operators for record in records):
        _print_shares("Kinds of operators", records, lambda record: record.operators, OPERATOR_KINDS)
        stages = dict.fromkeys(row.name for record in records for row in record.stages)
        _print_shares("Stages", records, lambda record: record.stages, sorted(stages, key=_place_of_stage))
    for line in conditions_of(records):
        console().print(line, markup=False)


def conditions_of(records: Sequence[ProfileRecord]) -> list[str]:
    """The conditions of a measurement as sentences."""
    first = records[0]
    load = "" if first.load_before is None or first.load_after is None else f", load {first.load_before:.1f} before and {first.load_after:.1f} after"
    lines = [f"{first.device_name}, {first.cores} cores, {first.threads} threads, {first.precision}, {first.memory_format}, torch {first.torch_version}{load}"]
    if first.load_before is not None and first.load_before > _BUSY * first.cores:
        lines.append("note: the machine is busy; models took turns, so their ratios hold better than the times themselves")
    if first.latencies and not all(record.is_trained and record.picture != "noise" for record in records):
        lines.append("note: the time of decoding depends on what is found; give a run and --picture for the real one")
    lines += [f"{record.name}: {record.operator_method}" for record in records if record.operator_method]
    return lines


def _print_sizes(records: Sequence[ProfileRecord]) -> None:
    table = _table("Size, for one image", ("model", "input", "parameters", "weights", "MACs", "activations"))
    for record in records:
        size = f"{record.input_hw[0]} x {record.input_hw[1]}"
        table.add_row(record.name, size, f"{record.parameters:,}", gibibytes(record.weight_bytes), f"{record.macs / 1e6:,.0f} M", f"{record.activations / 1e6:,.2f} M")
    console().print(table)


def _print_latency(records: Sequence[ProfileRecord]) -> None:
    table = _table("Latency, ms per batch", ("model", "batch", "network", "p95", "spread", "with decoding", "p95", "found", "images/s", "rounds"))
    for record in records:
        for each in record.latencies:
            table.add_row(
                record.name,
                str(each.batch),
                _ms(each.network_ms_median),
                _ms(each.network_ms_p95),
                _ms(each.network_ms_spread),
                _ms(each.decoded_ms_median),
                _ms(each.decoded_ms_p95),
                f"{each.detections:.0f}",
                f"{1000 * each.batch / each.decoded_ms_median:.1f}",
                str(each.rounds),
            )
    console().print(table)


def _print_memory(records: Sequence[ProfileRecord]) -> None:
    kind = next(record.memory.kind for record in records if record.memory)
    title = "Peak memory of a process (resident)" if kind == "resident" else "Peak memory on the GPU (allocator)"
    table = _table(title, ("model", "way", "batch", "peak", "of it at rest", "ms", "largest batch"))
    for record in records:
        if record.memory is None:
            continue
        for way, peak in (("inference", record.memory.inference), ("training", record.memory.training)):
            if peak is None:
                table.add_row(record.name, way, "1", "does not fit", "", "", "0")
            else:
                table.add_row(record.name, way, str(peak.batch), _bytes(peak.peak_bytes), _bytes(peak.resting_bytes), _ms(peak.ms), _largest(peak))
    console().print(table)


def _print_shares(title: str, records: Sequence[ProfileRecord], rows_of: Callable[[ProfileRecord], Sequence[Cost]], names: Sequence[str]) -> None:
    """Share of the time and share of the MACs side by side, a column for each model."""
    table = _table(f"{title}: share of the time | of the MACs, at batch 1", ("", *(record.name for record in records)))
    found = [{row.name: row for row in rows_of(record)} for record in records]
    for name in names:
        if any(name in rows for rows in found):
            table.add_row(name, *(_share(rows.get(name), record.macs) for rows, record in zip(found, records, strict=True)))
    console().print(table)


def _share(row: Cost | None, macs: int) -> str:
    return "-" if row is None else f"{row.share:6.1%} | {row.macs / max(1, macs):6.1%}"


def _place_of_stage(name: str) -> tuple[int, str]:
    """Stem, stages by number, pyramid, head, the rest."""
    order = {"stem": 0, "backbone": 0, "pyramid": 100, "head": 101}
    number = name.rpartition(" ")[2]
    return order.get(name, int(number) if number.isdigit() else 102), name


def _largest(peak: Peak) -> str:
    if peak.largest_batch is None:
        return "unknown"
    return f"{peak.largest_batch}{'' if peak.largest_is_tried else ' (reckoned)'}"


def _bytes(count: int | None) -> str:
    return "unknown" if count is None else gibibytes(count)


def _ms(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, box=SIMPLE, pad_edge=False, title_justify="left")
    table.add_column(headings[0])
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    return table
