"""A try at a disk that is given up leaves nobody who holds space there and lets go of it later."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from chaoskit.runtimes.docker import disks
from tests.runtimes.docker.conftest import in_a_loop

WRITER = """
import os, signal, sys
with open(os.path.join(sys.argv[1], "begun"), "w") as begun:
    begun.write(str(os.getpid()))
signal.pause()
"""


@in_a_loop
async def given_up(root: Path) -> None:
    begun = root / "begun"
    os.mkfifo(begun)
    trying = asyncio.create_task(disks._write_within(str(root), 1, 60.0, []))
    writer = int(await asyncio.to_thread(begun.read_text))
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    with pytest.raises(ProcessLookupError):
        os.kill(writer, signal.SIGKILL)


def test_a_writer_is_gone_before_whoever_gave_up_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disks, "_WRITER", WRITER)
    given_up(tmp_path)
