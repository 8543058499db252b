"""Which batch sizes to try, and what follows from the trials: no torch, so that tests can plant any memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_STEPS_OF_A_TRIAL = 3
_PRECISION = 16  # the largest size is found to one part in so many
_CAUTION = 1.1  # growth that is expected is taken to be so much larger before a size is tried
_NEAR_BEST = 0.95  # of the best speed: the smallest size that reaches it is the efficient one


@dataclass(frozen=True)
class Trial:
    """A batch size that fits.

    Args:
        batch: Images a step.
        bytes: Most memory taken; None where it cannot be measured.
        seconds: Of one step.
        resting: Of ``bytes``, what was taken before the step.
    """

    batch: int
    bytes: int | None
    seconds: float
    resting: int = 0

    @property
    def images_per_second(self) -> float:
        """Speed of the steps alone."""
        return self.batch / self.seconds


@dataclass(frozen=True)
class Sizes:
    """What a search found.

    Args:
        trials: Sizes that were tried and fit, in rising order.
        largest: Largest size that fits; None where nothing fits, or where nothing stopped the search but time and memory is unknown.
        measured: Whether ``largest`` was tried; else it follows from the growth between the sizes that were.
        reason: What ended the search: "memory", "time" or "images" (a batch larger than the training split).
    """

    trials: tuple[Trial, ...]
    largest: int | None
    measured: bool
    reason: str

    @property
    def efficient(self) -> Trial | None:
        """The smallest size within a few per cent of the best speed."""
        best = max((trial.images_per_second for trial in self.trials), default=0.0)
        return next((trial for trial in self.trials if trial.images_per_second >= _NEAR_BEST * best), None)


def search_sizes(measure: Callable[[int], Trial | None], most: int, own: int, limit: int | None, careful: bool, seconds: float) -> Sizes:
    """Double the batch until memory, time or images end it, then close in on the largest that fits.

    Args:
        measure: Tries a size; None is "does not fit".
        most: Largest size that makes sense.
        own: Size of the settings, which is tried too.
        limit: Bytes that may be taken; None is unknown.
        careful: Never try what is expected to take more than ``limit``; without, trying too much does no harm.
        seconds: Time for all steps; sizes above ``own`` that would take longer are not tried.
    """
    search = _Search(measure, own, limit, careful, seconds)
    reason = "images"
    for size in sorted({own, most, *(2**power for power in range(most.bit_length()))}):
        if size > most:
            break
        outcome = search.attempt(size)
        if outcome != "fits":
            reason = outcome
            break
    if reason == "memory":
        search.close_in()
    return search.result(most, reason)


def growth(trials: Sequence[Trial]) -> float | None:
    """Bytes that one more image takes, between the largest size tried and half of it; of a single size what its step took, per image; None where unknown."""
    known = [(trial.batch, trial.bytes) for trial in trials if trial.bytes is not None]
    if not known:
        return None
    if len(known) == 1:
        return (known[0][1] - trials[0].resting) / known[0][0]
    large, more = known[-1]
    small, less = next((pair for pair in reversed(known) if 2 * pair[0] <= large), known[0])
    return (more - less) / (large - small)


class _Search:
    """The trials so far, and the smallest size known not to fit."""

    def __init__(self, measure: Callable[[int], Trial | None], own: int, limit: int | None, careful: bool, seconds: float) -> None:
        self._measure, self._own, self._limit, self._careful, self._left = measure, own, limit, careful, seconds
        self._trials: list[Trial] = []
        self._ceiling: int | None = None

    def attempt(self, size: int) -> str:
        """Try a size unless too much memory or time is expected: "fits", "memory" or "time"."""
        if self._careful and not self._is_expected_to_fit(size):
            self._ceiling = size
            return "memory"
        if self._trials and size > self._own and _STEPS_OF_A_TRIAL * self._last.seconds * size / self._last.batch > self._left:
            return "time"
        trial = self._measure(size)
        if trial is None or (self._limit is not None and trial.bytes is not None and trial.bytes > self._limit):
            self._ceiling = size
            return "memory"
        self._trials.append(trial)
        self._left -= _STEPS_OF_A_TRIAL * trial.seconds
        return "fits"

    def close_in(self) -> None:
        """Narrow the gap between the largest size that fits and the smallest that does not."""
        while self._is_wide():
            expected = self._expected_largest() if self._careful else None
            foretold = expected is not None and self._last.batch < expected < self._ceiling_or(0)
            middle = expected if foretold and expected is not None else (self._last.batch + self._ceiling_or(0)) // 2
            if self.attempt(middle) == "time" or (foretold and self._last.batch == middle):
                return  # one more image than foretold is not worth a trial

    def result(self, most: int, reason: str) -> Sizes:
        """What follows from the trials."""
        trials = tuple(self._trials)
        if not trials:
            return Sizes(trials, None, True, reason)
        expected = self._expected_largest()
        if reason == "images" or (reason == "memory" and (not self._is_wide() or expected is None or expected <= self._last.batch + 1)):
            return Sizes(trials, self._last.batch, True, reason)
        return Sizes(trials, None if expected is None else min(most, max(expected, self._last.batch)), False, reason)

    def _is_wide(self) -> bool:
        return bool(self._trials) and self._ceiling_or(0) - self._last.batch > max(1, self._last.batch // _PRECISION)

    def _ceiling_or(self, other: int) -> int:
        return other if self._ceiling is None else self._ceiling

    @property
    def _last(self) -> Trial:
        return self._trials[-1]

    def _is_expected_to_fit(self, size: int) -> bool:
        if self._limit is None or not self._trials or self._last.bytes is None:
            return True
        return self._last.bytes + _CAUTION * (growth(self._trials) or 0) * (size - self._last.batch) <= self._limit

    def _expected_largest(self) -> int | None:
        each = growth(self._trials)
        if self._limit is None or each is None or self._last.bytes is None or each <= 0:
            return None
        return self._last.batch + int((self._limit - self._last.bytes) / (_CAUTION * each))
