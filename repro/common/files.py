"""Files that are written completely or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_atomically(file: Path, content: bytes) -> None:
    """Write a file completely or not at all, even if the machine stops.

    Args:
        file: Path of the file, which is replaced if it exists; its folder must exist.
        content: Whole content of the file.

    Raises:
        OSError: it cannot be written.
    """
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere folders cannot be opened, and renaming is durable by itself
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
