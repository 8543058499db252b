"""The one family of errors that users see as a line, with the exit code of each kind."""

from __future__ import annotations

import re

# control characters, line separators, marks that turn the direction of text, halves of surrogate pairs
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    """``text`` with everything that would break a line or a terminal as an escape: names from damaged files get into messages."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class FinetuneError(Exception):
    """Root of all errors with a message for the user: what was given, what is allowed, what to do next."""

    exit_code = 1


class UsageError(FinetuneError):
    """A wrong setting, name or argument."""

    exit_code = 2


class DataError(FinetuneError):
    """Data that cannot be used: the message names the file, the annotation, the value and the remedy, and is always one printable line."""

    exit_code = 3

    def __str__(self) -> str:
        return one_line(super().__str__())
