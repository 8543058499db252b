"""The search for a batch size over planted memory: the answer is counted independently, and nothing too large is ever tried."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from finetune.finders.batch_search import Sizes, Trial, growth, search_sizes

MIB = 1 << 20


class Machine:
    """Takes ``base`` + ``each`` * batch MiB and dies beyond ``limit``; remembers what it was asked to do."""

    def __init__(self, base: int, each: float, limit: int, seconds: Callable[[int], float] = lambda batch: 0.01 * batch) -> None:
        self.base, self.each, self.limit, self.seconds = base, each, limit, seconds
        self.asked: list[int] = []

    def measure(self, batch: int) -> Trial | None:
        self.asked.append(batch)
        taken = self.base + self.each * batch
        return Trial(batch, int(taken * MIB), self.seconds(batch), self.base * MIB) if taken <= self.limit else None

    def truth(self) -> int:
        return int((self.limit - self.base) / self.each)


def search(machine: Machine, careful: bool, most: int = 100_000, own: int = 4, seconds: float = 1e9) -> Sizes:
    return search_sizes(machine.measure, most, own, machine.limit * MIB, careful, seconds)


@pytest.mark.parametrize(("base", "each", "limit"), [(800, 60, 16_000), (800, 61.7, 4000), (300, 5, 1000), (900, 250, 1500), (900, 90, 1000), (0, 33, 70_000)])
@pytest.mark.parametrize("careful", [True, False])
def test_the_largest_size_is_found(base: int, each: float, limit: int, careful: bool) -> None:
    machine = Machine(base, each, limit)
    found = search(machine, careful)
    truth = machine.truth()
    assert found.largest is not None
    assert found.reason == "memory"
    assert truth * (0.85 if careful else 0.94) - 1 <= found.largest <= truth
    if careful:
        assert max(machine.asked) <= truth, "what does not fit was tried where that does harm"
    else:
        assert max(machine.asked) > truth, "without harm the limit is found by trying"
    assert found.measured
    assert {trial.batch for trial in found.trials} == {size for size in machine.asked if size <= truth}
    assert len(machine.asked) == len(set(machine.asked)) < 30


def test_time_ends_the_trials_and_growth_tells_the_rest() -> None:
    machine = Machine(800, 60, 16_000, seconds=lambda batch: 0.5 * batch)
    found = search(machine, careful=True, seconds=30)
    assert 3 * 0.5 * sum(machine.asked) <= 30
    assert (found.reason, found.measured) == ("time", False)
    assert found.largest is not None
    assert machine.truth() * 0.85 <= found.largest <= machine.truth()


def test_the_size_of_the_settings_is_tried_whatever_it_takes() -> None:
    machine = Machine(800, 60, 16_000, seconds=lambda batch: 10.0 * batch)
    found = search(machine, careful=True, own=6, seconds=1)
    assert machine.asked == [1, 2, 4, 6]
    assert [trial.batch for trial in found.trials] == [1, 2, 4, 6]


def test_no_batch_is_larger_than_the_training_split() -> None:
    machine = Machine(800, 60, 1_000_000)
    found = search(machine, careful=True, most=150)
    assert max(machine.asked) == 150
    assert (found.largest, found.measured, found.reason) == (150, True, "images")


def test_nothing_fits() -> None:
    found = search(Machine(800, 60, 500), careful=False)
    assert (found.trials, found.largest, found.efficient) == ((), None, None)


def test_a_limit_is_kept_where_trying_does_no_harm() -> None:
    """The allocator gives more than the share that shall be taken: what was measured above it does not count."""
    machine = Machine(800, 60, 16_000)
    found = search_sizes(machine.measure, 1000, 4, 8000 * MIB, False, 1e9)
    assert found.largest is not None
    assert 112 <= found.largest <= 120


def test_memory_that_cannot_be_measured_gives_no_largest_size() -> None:
    asked: list[int] = []

    def measure(batch: int) -> Trial:
        asked.append(batch)
        return Trial(batch, None, batch * 1.0)

    found = search_sizes(measure, 1000, 4, None, True, 30)
    assert (found.largest, found.reason) == (None, "time")
    assert asked == [1, 2, 4]


def test_growth_that_gets_steeper_is_met_by_trying() -> None:
    """Memory that grows faster than foretold: the foretold size fails, and the search goes on below it."""

    def measure(batch: int) -> Trial | None:
        taken = 100 + batch + max(0, batch - 40) * 5
        return Trial(batch, taken * MIB, 0.01) if taken <= 400 else None

    found = search_sizes(measure, 10_000, 4, 400 * MIB, True, 1e9)
    truth = max(batch for batch in range(1, 400) if 100 + batch + max(0, batch - 40) * 5 <= 400)
    assert found.largest is not None
    assert truth * 0.9 <= found.largest <= truth


def test_the_efficient_size_is_the_smallest_of_the_fast_ones() -> None:
    speeds = {1: 5.0, 2: 8.0, 4: 11.0, 8: 11.6, 16: 11.7, 32: 9.0}
    found = search_sizes(lambda batch: Trial(batch, None, batch / speeds[batch]), 32, 4, None, False, 1e9)
    assert found.efficient is not None
    assert found.efficient.batch == 8
    assert [round(trial.images_per_second, 1) for trial in found.trials] == list(speeds.values())


def test_growth_is_taken_over_half_of_the_range() -> None:
    trials = [Trial(1, 900, 1.0), Trial(2, 900, 1.0), Trial(4, 1000, 1.0), Trial(6, 1190, 1.0), Trial(8, 1200, 1.0)]
    assert growth(trials) == 50
    assert growth([Trial(2, 900, 1.0, resting=700)]) == 100
    assert growth([]) is None
    assert growth([Trial(1, None, 1.0)]) is None
