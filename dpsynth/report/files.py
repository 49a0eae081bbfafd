"""What a report leaves in its folder."""

from collections.abc import Mapping
from pathlib import Path

from dpsynth.errors import FileError


def write_files(folder: Path, files: Mapping[str, bytes], *, what: str) -> list[Path]:
    """Write `files`, name -> content, to `folder`, which is made if missing; return their paths.

    Args:
        folder: where they go.
        files: name -> content.
        what: what they are together, for the message.

    Raises:
        FileError: the folder is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise FileError(folder, f"{what} cannot be written ({error.strerror})") from error
    return [folder / name for name in files]
