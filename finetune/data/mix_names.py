"""How a source of ``data.mix`` is named: a folder, a kind that needs none, or KIND:FOLDER."""

from __future__ import annotations

from collections.abc import Callable

WORDS, BLANK = "words", "blank"


def split_name(name: str) -> tuple[str, str]:
    """Kind and folder: ("words", ""), ("words", FOLDER), ("blank", FOLDER), or ("", FOLDER) where what lies in the folder tells."""
    kind, colon, folder = name.partition(":")
    if name == WORDS or (colon and folder and kind in (WORDS, BLANK)):
        return kind, folder
    return "", name


def with_folder(name: str, change: Callable[[str], str]) -> str:
    """The name with another folder in it."""
    kind, folder = split_name(name)
    if not folder:
        return name
    return f"{kind}:{change(folder)}" if kind else change(folder)
