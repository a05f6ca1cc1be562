"""Private files: usage, payments and reports are readable by their owner alone, whatever the umask says.

Folders and files that are there keep the modes that somebody gave them.
"""

import os
from pathlib import Path
from typing import IO, Any

FOLDER, FILE = 0o700, 0o600


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner alone."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=FOLDER, exist_ok=True)


def open_private(path: Path | str, mode: str, **options: Any) -> IO[Any]:
    """Open a file to write it; a new one is its owner's alone from the first byte on."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, FILE), **options)
