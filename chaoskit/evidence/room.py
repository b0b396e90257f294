"""Room for the end of a run: taken at its beginning, so that a disk that fills up cannot keep it from saying so.

begin ── keep ──► 2 MB in the run folder ── give_back ──► the last events, leases, measurements, verdict, manifest
"""

from __future__ import annotations

import os
from pathlib import Path

ROOM_BYTES = 2_000_000
"""What those take at most, with something to spare."""
_FILE = ".room-for-the-end"


def keep(folder: Path) -> None:
    """Take the space. Raises OSError where there is none."""
    with (folder / _FILE).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)


def give_back(folder: Path) -> None:
    """Let it be used; safe to repeat."""
    (folder / _FILE).unlink(missing_ok=True)
