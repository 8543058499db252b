"""What the user's device allows: a longest latency and most parameters, as they are typed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backbones.errors import UsageError

_NUMBER = r"([0-9]*\.?[0-9]+)\s*"


@dataclass(frozen=True)
class Limits:
    """Limits that a candidate must keep; None for no limit.

    Args:
        latency_ms: Milliseconds of one picture, network and decoding, median.
        params: Parameters of the whole detector.
    """

    latency_ms: float | None = None
    params: float | None = None

    @property
    def words(self) -> str:
        """For example "30 ms and 5M parameters"; "" without limits."""
        parts = [f"{self.latency_ms:g} ms"] if self.latency_ms is not None else []
        parts += [f"{self.params / 1e6:g}M parameters"] if self.params is not None else []
        return " and ".join(parts)


def parse_limits(latency: str | None = None, params: str | None = None) -> Limits:
    """Limits from text: "30ms", "0.5s" or "30" (ms); "5M", "800k" or "5000000".

    Raises:
        UsageError: Not such a text, or not above 0.
    """
    return Limits(_parse("--max-latency", latency, {"ms": 1.0, "s": 1000.0, "": 1.0}, "30ms or 0.5s"), _parse("--max-params", params, {"m": 1e6, "k": 1e3, "": 1.0}, "5M, 800k or 5000000"))


def _parse(flag: str, text: str | None, units: dict[str, float], examples: str) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(_NUMBER + "([a-z]*)", text.strip().lower())
    value = float(found[1]) * units[found[2]] if found and found[2] in units else 0.0
    if value <= 0:
        raise UsageError(f"{flag} is {text!r}: write for example {examples}")
    return value
