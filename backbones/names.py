"""Names that are near to an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """"; did you mean a, b or c?" for the known names nearest to ``name``, or an empty string."""
    names = list(known)
    parts = [other for other in names if name and name.lower() in other.lower()][:3]
    alike = {other: difflib.SequenceMatcher(None, name, other).ratio() for other in difflib.get_close_matches(name, names, 12, 0.6)}
    close = sorted(alike, key=lambda other: (-alike[other], other))
    near = list(dict.fromkeys([*close, *parts]))[:3]
    if not near:
        return ""
    return f"; did you mean {' or '.join(prefix + other for other in near)}?"
