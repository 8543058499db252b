"""Font files: where they are, and which of them can draw which characters."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

import matplotlib
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

from backbones.errors import DataError, UsageError

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
SYSTEM_FOLDERS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "/Library/Fonts", "/System/Library/Fonts", "~/Library/Fonts", "C:/Windows/Fonts",
)  # fmt: skip
# their glyphs at the codes of letters are no letters, or they draw every character alike
_NOT_TEXT = ("lastresort", "emoji", "symbol", "dingbat", "d050000l", "braille", "webding", "wingding", "signwriting", "ornament", "cmex", "cmsy", "cmmi", "stixsiz", "stixnonuni", "music", "barcode")
_TEX = ("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10")  # other codes than those of letters and digits mean something else in them


def list_fonts(source: str) -> tuple[Path, ...]:
    """The font files of "matplotlib", of the "system", or of a folder and its subfolders, in one order on every machine.

    Raises:
        UsageError: It is neither a name nor a folder, or a folder without fonts.
    """
    if source == "matplotlib":
        folders = [Path(matplotlib.get_data_path()) / "fonts" / "ttf"]
    elif source == "system":
        folders = [Path(folder).expanduser() for folder in SYSTEM_FOLDERS]
    else:
        folders = [Path(source).expanduser()]
        if not folders[0].is_dir():
            raise UsageError(f"fonts {source!r} is no folder: give matplotlib, system or a folder with {', '.join(SUFFIXES[:2])} files")
    found = sorted({path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()}, key=lambda path: (path.name, str(path)))
    kept = tuple(path for path in found if source not in ("matplotlib", "system") or not any(word in path.stem.lower() for word in _NOT_TEXT))
    if not kept:
        raise UsageError(f"no font in {folders[0] if len(folders) == 1 else 'the folders of the system'}: put {', '.join(SUFFIXES)} files there, or use matplotlib's")
    return kept


def covered(path: Path) -> frozenset[str] | None:
    """The characters of a font; None where the file cannot be read."""
    logger = logging.getLogger("matplotlib.ft2font")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        codes = FT2Font(str(path)).get_charmap()
    except (RuntimeError, OSError, ValueError):
        return None
    finally:
        logger.setLevel(before)
    characters = frozenset(map(chr, codes))
    if path.stem.lower() in _TEX:
        return frozenset(character for character in characters if character.isascii() and character.isalnum())
    return characters


def draws_letters(path: Path, characters: Sequence[str]) -> bool:
    """Whether a font can be drawn at any size and draws characters unlike each other: bitmaps and stand-ins do not."""
    neighbours = [pair for pair in pairwise(characters) if ord(pair[1]) - ord(pair[0]) == 1 and pair[0].isalnum()]
    pairs = [neighbours[k * (len(neighbours) - 1) // 4] for k in range(5)] if neighbours else [(character, "") for character in characters[:2]]
    try:
        font = ImageFont.truetype(str(path), 24, layout_engine=ImageFont.Layout.BASIC)
        looks = [tuple(bytes(font.getmask(character)) if character else b"" for character in pair) for pair in pairs]
    except (OSError, ValueError, MemoryError):
        return False
    return bool(looks) and all(any(first) for first, _ in looks) and sum(first != second for first, second in looks) > len(looks) / 2


class FontSet:
    """The fonts of a source, and for every character of a corpus those that have it.

    Args:
        source: See ``list_fonts``.
        characters: The characters that will be asked for.

    Raises:
        DataError: No file draws any of them.
    """

    def __init__(self, source: str, characters: Iterable[str]) -> None:
        wanted = frozenset(characters)
        self.source, self.unusable = source, 0
        self.paths: list[Path] = []
        self._having: dict[str, int] = dict.fromkeys(wanted, 0)  # bit k: font k has it
        for path in list_fonts(source):
            own = covered(path)
            asked = sorted(wanted & own) if own else []
            if own is None or not draws_letters(path, asked):
                self.unusable += bool(asked) or own is None
                continue
            for character in asked:
                self._having[character] |= 1 << len(self.paths)
            self.paths.append(path)
        if not self.paths:
            raise DataError(f"none of the {len(list_fonts(source))} fonts of {source} draws a character of the corpus: give --fonts a folder with a font of its script")

    def missing(self, text: str) -> str:
        """The characters of ``text`` that no font has, or all of them where no single font has them together."""
        alone = "".join(character for character in dict.fromkeys(text) if not self._having.get(character, 0))
        return alone or ("" if self._common((text,)) else text)

    def choose(self, texts: Sequence[str], rng: Random) -> Path | None:
        """A font that has every character of all texts; fonts that lack one are skipped. None where there is none."""
        common = self._common(texts)
        if not common:
            return None
        for _ in range(8):
            place = rng.randrange(len(self.paths))
            if common >> place & 1:
                return self.paths[place]
        return self.paths[rng.choice([place for place in range(len(self.paths)) if common >> place & 1])]

    def _common(self, texts: Sequence[str]) -> int:
        common = (1 << len(self.paths)) - 1
        for character in set().union(*texts):
            common &= self._having.get(character, 0)
        return common
