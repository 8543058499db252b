"""What the readers noticed in the data and repaired: counted, and the first few named."""

from __future__ import annotations

from dataclasses import dataclass, field

_NAMED = 3


@dataclass
class Findings:
    """Counts by kind, with the places of the first few. A kind is the end of a sentence that starts with a count, as in "boxes clipped to their picture"."""

    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str) -> None:
        """Count one more of ``kind`` at ``place`` (a file, with the annotation id where there is one)."""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        named = self.places.setdefault(kind, [])
        if len(named) < _NAMED:
            named.append(place)

    def count(self, kind: str) -> int:
        """How many of ``kind`` were seen."""
        return self.counts.get(kind, 0)

    def lines(self) -> list[str]:
        """One line for each kind: the count, the kind, the first few places."""
        return [f"{count} {kind}: {name_some(self.places[kind], count)}" for kind, count in self.counts.items()]


def name_some(places: list[str] | tuple[str, ...], count: int | None = None, most: int = _NAMED) -> str:
    """Join the first few of ``places`` for a message and say how many more there are of ``count`` (default: of all)."""
    total = len(places) if count is None else count
    shown = list(places[:most])
    more = total - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
