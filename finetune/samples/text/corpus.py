"""What is written: lines of a file, or the embedded words with numbers, prices and invented names."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from random import Random

from backbones.errors import DataError, UsageError
from finetune.samples.text.glyphs import can_shape, joins

MOST_BYTES = 64_000_000
LONGEST = 40  # characters of a word
ASCII = frozenset(map(chr, range(0x21, 0x7F)))
_STARTS = (*"bcdfghjklmnprstvwz", "br", "cl", "dr", "fl", "gr", "kl", "pr", "st", "tr", "sh", "th")
_MIDDLES = (*"aeiou", "ai", "ee", "io", "ou", "ar", "or", "en")
_ENDS = ("", "x", "ra", "lo", "ni", "ta", "ko", "ma", "s", "n", "r", "z", "co", "va")


@dataclass(frozen=True, eq=False)
class Corpus:
    """Lines of words, and how often a word is made up instead (numbers, codes, names): never for a file of the user.

    Args:
        lines: Words without blanks, at least one line, none empty.
        invented: Share of words that are made up.
        source: For messages.
    """

    lines: tuple[tuple[str, ...], ...]
    invented: float
    source: str

    @property
    def characters(self) -> frozenset[str]:
        """All characters that may be asked for."""
        own = frozenset().union(*(frozenset(word) for line in self.lines for word in line))
        return own | ASCII if self.invented else own

    def keep(self, drawable: Callable[[str], bool]) -> tuple[Corpus, list[str]]:
        """Without the words that cannot be drawn, and those words."""
        known = {word: drawable(word) for word in dict.fromkeys(word for line in self.lines for word in line)}
        dropped = [word for word, good in known.items() if not good]
        if not dropped:
            return self, []
        lines = tuple(kept for line in self.lines if (kept := tuple(word for word in line if known[word])))
        return Corpus(lines, self.invented, self.source), dropped

    def words(self, count: int, rng: Random) -> tuple[str, ...]:
        """Words as they may stand in one line: neighbours in the corpus where its lines are long enough."""
        if self.invented:
            return tuple(self._one(rng) for _ in range(count))
        line = rng.choice(self.lines)
        start = rng.randrange(max(1, len(line) - count + 1))
        chosen = list(line[start : start + count])
        while len(chosen) < count:
            chosen.append(rng.choice(rng.choice(self.lines)))
        return tuple(chosen)

    def _one(self, rng: Random) -> str:
        if rng.random() < self.invented:
            return rng.choice(_INVENTIONS)(rng)
        word = rng.choice(self.lines)[0]
        manner = rng.random()
        if manner < 0.4 and len(word.upper()) == len(word):
            return word.upper()
        if manner < 0.65:
            return word[0].upper() + word[1:]
        return word


def read_corpus(file: str | None) -> Corpus:
    """Read a text file: UTF-8, one line of words a line; without a file, the embedded list.

    Raises:
        UsageError: No such file.
        DataError: It is no UTF-8 text, or has no words.
    """
    if file is None:
        return _embedded()
    path = Path(file).expanduser()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"corpus {path} has {path.stat().st_size / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} are read: take a part of it")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"corpus {path}, line {line}: not UTF-8 (byte {error.object[error.start]:#04x}): save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"cannot read corpus {path} ({error.strerror}): give a text file with words") from error
    lines = tuple(line for line in (_words(line) for line in text.splitlines()) if line)
    if not lines:
        raise DataError(f"corpus {path} has no word of 1 to {LONGEST} printable characters: write words, one or more a line")
    return Corpus(lines, 0.0, str(path))


@lru_cache(maxsize=1)
def _embedded() -> Corpus:
    text = (files("finetune.samples.text") / "words.txt").read_text(encoding="utf-8")
    return Corpus(tuple((word,) for line in text.splitlines() if not line.startswith("#") for word in line.split()), 0.22, "the embedded words")


def _words(line: str) -> tuple[str, ...]:
    return tuple(word for word in unicodedata.normalize("NFC", line).split() if len(word) <= LONGEST and word.isprintable())


def drawable(missing: Callable[[str], str]) -> Callable[[str], bool]:
    """Whether fonts (their ``missing``) and this Pillow can draw a word."""
    return lambda word: not missing(word) and (can_shape() or not joins(word))


def name_dropped(dropped: Iterable[str]) -> str:
    """A few of the words that are left out, for a message."""
    some = list(dropped)
    return ", ".join(repr(word) for word in some[:3]) + (" ..." if len(some) > 3 else "")


def _digits(rng: Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


def _letters(rng: Random, count: int) -> str:
    return "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=count))


def _price(rng: Random) -> str:
    value = f"{rng.choice('$$$')}{rng.randint(1, 99)}" if rng.random() < 0.6 else f"{rng.randint(1, 199)}"
    return value + rng.choice(["", "", f".{rng.choice(['00', '50', '90', '99', '95'])}"])


def _name(rng: Random) -> str:
    word = "".join(rng.choice(_STARTS) + rng.choice(_MIDDLES) for _ in range(rng.randint(1, 3))) + rng.choice(_ENDS)
    return rng.choice([word, word.capitalize(), word.upper(), word.upper()])


def _address(rng: Random) -> str:
    name = _name(rng).lower()
    return rng.choice([f"www.{name}.com", f"{name}.com", f"@{name}", f"#{rng.randint(1, 20):02d}-{rng.randint(1, 99):02d}"])


_INVENTIONS: tuple[Callable[[Random], str], ...] = (
    lambda rng: str(rng.randint(0, 99)),
    lambda rng: _digits(rng, rng.randint(1, 6)),
    lambda rng: f"{_digits(rng, 4)}-{_digits(rng, 4)}" if rng.random() < 0.5 else _digits(rng, 8),
    _price,
    lambda rng: f"{rng.randint(5, 90)}%",
    lambda rng: f"{rng.randint(0, 23)}:{rng.choice(['00', '15', '30', '45'])}",
    lambda rng: f"{rng.randint(1, 12)}{rng.choice(['am', 'pm', 'AM', 'PM'])}",
    lambda rng: f"{_letters(rng, rng.randint(1, 3))}{_digits(rng, rng.randint(1, 4))}",
    lambda rng: _letters(rng, rng.randint(1, 4)),
    lambda rng: f"{_name(rng)}{rng.choice(['', '', '!', '.', ',', ':', chr(39) + 's', '-' + _name(rng)])}",
    _name,
    _name,
    _address,
)
