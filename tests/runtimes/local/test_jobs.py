"""A job that is to be killed before its keeper has forked it, told at the pace of a keeper that is slow."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.runtimes import jobs, process_table, signals
from chaoskit.runtimes.keeper import Job

FORKS_WHEN_TOLD = (
    "import subprocess, sys; sys.stdin.readline(); print(subprocess.Popen(['sleep', '60']).pid, flush=True); "
    "sys.stdin.read()"
)


@pytest.mark.parametrize("unwanted", [True, False])
def test_what_is_killed_before_it_was_forked_dies_as_soon_as_it_is(
    unwanted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    program = [sys.executable, "-S", "-c", FORKS_WHEN_TOLD]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        monkeypatch.setattr(jobs.keeper, "start", lambda *_: (keeper.pid, reading))
        forgetful: Any = SimpleNamespace(remember=lambda *_: False, new_shared_memory=set)
        record: Any = SimpleNamespace(state=tmp_path)
        answers: list[Any] = []
        held = jobs.Jobs(record, forgetful, selectors.DefaultSelector(), answers.append, ())
        held.start(Job("cp", "command", (), {}, "/", "/dev/null"), 1)
        if unwanted:
            assert held.kill("cp") == []
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        keeper.stdin.write("now\n")
        keeper.stdin.flush()
        entry = process_table.look(int(keeper.stdout.readline()))
        assert entry is not None
        try:
            os.write(writing, json.dumps({"pid": entry.pid, "start": entry.start}).encode() + b"\n")
            running = held.find("cp")
            assert running is not None
            held._read_reports(running)
            assert [answer["id"] for answer in answers] == [1]
            assert (process_table.state(entry.pid, entry.start) in ("dying", "gone")) == unwanted
        finally:
            signals.send(entry.pid, entry.start, signal.SIGKILL)
            keeper.kill()
            for fd in (reading, writing):
                os.close(fd)
