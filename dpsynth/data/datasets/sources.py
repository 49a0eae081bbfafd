"""Where data sets come from: a folder of shared files, or a package; both checked by checksum."""

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.errors import FileError

if TYPE_CHECKING:
    import pandas as pd

VARIABLE = "DPSYNTH_SHARED_DATA"
"""Environment variable that names the folder of shared files."""


def shared_folder() -> Path:
    """Return the folder of shared files.

    The environment variable names it; without one it is ../shared/data, seen from the working
    directory or from the project.

    Raises:
        FileError: there is no such folder.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_dir():
            raise FileError(named, f"{VARIABLE} names this folder of data sets, which is not there")
        return Path(named)
    project = Path(__file__).parents[3]
    for root in (Path.cwd(), project):
        folder = root.parent / "shared" / "data"
        if folder.is_dir():
            return folder
    raise FileError(
        project.parent / "shared" / "data",
        f"this folder of data sets is not there; set {VARIABLE} to where the files are",
    )


def read_shared(checksums: Mapping[str, str]) -> tuple[list[bytes], str]:
    """Return the contents of shared files, and a checksum of them all.

    Args:
        checksums: name -> the SHA-256 that the file must have.

    Returns:
        The contents, in the order given, and the SHA-256 of the first file when it is the only
        one, else of all of them one after the other.

    Raises:
        FileError: the folder or a file is missing, unreadable, or of another checksum.
    """
    folder = shared_folder()
    contents = [_read(folder / name, expected) for name, expected in checksums.items()]
    return contents, sha256(b"".join(contents)).hexdigest()


def _read(path: Path, expected: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileError(path, "this file of a data set is missing") from None
    except OSError as error:
        raise FileError(path, f"it cannot be read ({error.strerror or error})") from error
    if (found := sha256(content).hexdigest()) != expected:
        raise FileError(path, f"its SHA-256 is {found}, but the data set's is {expected}")
    return content


def check_values(name: str, frame: "pd.DataFrame", expected: str) -> str:
    """Return the checksum of the numbers that a package handed over: SHA-256, row by row, float64.

    Raises:
        FileError: they are not those that the schema was written for.
    """
    numbers = np.ascontiguousarray(frame.to_numpy(dtype="<f8"))
    if (found := sha256(numbers.tobytes()).hexdigest()) != expected:
        raise FileError(name, f"the package's data have SHA-256 {found}, not {expected}")
    return found
