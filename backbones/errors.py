"""The one family of errors that users see as a line, with the exit code of each kind."""

from __future__ import annotations


class FinetuneError(Exception):
    """Root of all errors with a message for the user: what was given, what is allowed, what to do next."""

    exit_code = 1


class UsageError(FinetuneError):
    """A wrong setting, name or argument."""

    exit_code = 2


class DataError(FinetuneError):
    """Data that cannot be used: the message names the file, the annotation, the value and the remedy."""

    exit_code = 3
