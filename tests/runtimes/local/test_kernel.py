"""The hint to ext4 about what lies below a folder."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest

from chaoskit.runtimes.kernel import spread_below

GET_FLAGS, SET_FLAGS = 0x80086601, 0x40086602
NO_DUMP, TOP_OF_TREES = 0x40, 0x20000


def flags(folder: Path, new: int | None = None) -> int:
    """The attributes that `lsattr` shows; OSError where the file system has none."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        if new is not None:
            fcntl.ioctl(opened, SET_FLAGS, struct.pack("l", new))
        return int(struct.unpack("l", fcntl.ioctl(opened, GET_FLAGS, bytes(8)))[0])
    finally:
        os.close(opened)


def test_what_lies_below_is_spread_and_no_other_attribute_is_lost(tmp_path: Path) -> None:
    try:
        before = flags(tmp_path, flags(tmp_path) | NO_DUMP)
        flags(tmp_path, before | TOP_OF_TREES)  # ext4 takes it, others refuse
        flags(tmp_path, before)
    except OSError as error:
        pytest.skip(f"no attributes there: {error.strerror}")
    assert not before & TOP_OF_TREES
    spread_below(tmp_path)
    assert flags(tmp_path) == before | TOP_OF_TREES


def test_where_there_is_no_such_hint_nothing_happens(tmp_path: Path) -> None:
    spread_below(Path("/proc/self"))
    spread_below(tmp_path / "missing")
