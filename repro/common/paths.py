"""Questions about paths that users name. No answer is an error, as in ``pathlib`` from Python 3.14 on.

Older versions raise for names that no file can have, such as those that are too long for the file system.
"""

from __future__ import annotations

import os
from pathlib import Path

from repro.common.errors import ReproError

RESULTS = Path("repro-results")  # where results go unless a user names another folder


def exists(path: Path) -> bool:
    """Tell whether there is anything of this name."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Tell whether there is a regular file of this name."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Tell whether there is a folder of this name."""
    return os.path.isdir(path)  # noqa: PTH112


def is_device(path: Path) -> bool:
    """Tell whether there is something of this name that is neither file nor folder, and may have no end."""
    return exists(path) and not is_file(path) and not is_folder(path)


def expanded(path: Path) -> Path:
    """Replace ``~`` by the home folder.

    Raises:
        ReproError: there is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ReproError(
            f"{path} begins with the home folder of nobody; write ./{path} for a name like that"
        ) from error
