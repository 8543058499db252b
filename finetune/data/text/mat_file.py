"""MATLAB files of the public text sets. The only file that imports scipy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backbones.errors import DataError


def read_mat(file: Path, names: Sequence[str]) -> Any:
    """The first of the named variables that a version 5 .mat file holds.

    Raises:
        DataError: The file cannot be read, is of version 7.3 (HDF5), or has none of them.
    """
    from scipy.io import loadmat

    try:
        content = loadmat(file, variable_names=list(names))
    except NotImplementedError as error:
        raise DataError(f"{file} is a MATLAB 7.3 file, which is not read; save it with save(..., '-v7')") from error
    except Exception as error:  # scipy raises almost anything on broken files
        raise DataError(f"{file} is no MATLAB file that can be read ({str(error)[:80] or type(error).__name__}); copy it again") from error
    found = next((content[name] for name in names if name in content), None)
    if found is None:
        raise DataError(f"{file} holds none of the variables {', '.join(names)}; is it the ground truth of another data set?")
    return found
