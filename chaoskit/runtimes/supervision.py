"""The conductor's side of the supervisor: starting it, asking it, hearing of exits, letting it go."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chaoskit
from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.record import Identity, RunRecord, this_process

_ANSWER_S = 30.0
_LINE_BYTES_MAX = 16 * 2**20
Push = Callable[[dict[str, Any]], None]


def package_folder() -> str:
    """The folder to put on PYTHONPATH so that a child finds this chaoskit, installed or not."""
    return str(Path(chaoskit.__file__).resolve().parent.parent)


def own_environment() -> dict[str, str]:
    """The environment of chaoskit's own processes: the conductor's, and where chaoskit lies."""
    path = os.pathsep.join(filter(None, (package_folder(), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


@dataclass(frozen=True)
class Task:
    """What a supervisor is started with; `temporary` is where the scratch folder goes, `state` is
    `<state>/runs/<run>`.
    """

    run: str
    folder: Path
    state: Path
    temporary: Path
    cache: Path


@dataclass(frozen=True)
class Launched:
    """A supervisor whose interpreter is starting; closing `control` ends it."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    log: Path


def launch(task: Task) -> Launched:
    """Start a supervisor's process, and wait for nothing."""
    ours, theirs = socket.socketpair()
    conductor = this_process()
    message = {
        "run": task.run,
        "folder": str(task.folder),
        "state": str(task.state),
        "temporary": str(task.temporary),
        "cache": str(task.cache),
        "conductor": {"pid": conductor.pid, "start": conductor.start},
    }
    log = task.folder / "logs" / "supervisor.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "chaoskit.runtimes.supervisor", str(theirs.fileno())]
    with theirs, open(log, "ab") as output:
        process = subprocess.Popen(
            [*argv, json.dumps(message)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=own_environment(),
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    return Launched(process, ours, log)


class Supervision:
    """A live supervisor. Every request has a deadline; when the supervisor has ended, every one raises
    EnvironmentBroken.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path, on_push: Push) -> None:
        self._process = process
        self._log = log
        self._on_push = on_push
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._hello: asyncio.Future[RunRecord] = asyncio.get_running_loop().create_future()
        self._reading: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.ended = asyncio.Event()
        self.record: RunRecord

    @classmethod
    async def start(cls, launched: Launched, on_push: Push) -> Supervision:
        """Wait until a launched supervisor has written its record. Raises EnvironmentBroken when it refuses."""
        log = launched.log
        self = cls(launched.process, log, on_push)
        try:
            reader, self._writer = await asyncio.open_connection(sock=launched.control, limit=_LINE_BYTES_MAX)
            self._reading = asyncio.create_task(self._read(reader), name="supervisor's answers")
            async with asyncio.timeout(_ANSWER_S):
                self.record = await self._hello
        except TimeoutError:
            await self.let_go()
            raise EnvironmentBroken(
                f"the supervisor did not answer within {_ANSWER_S:g} s; see {log}"
            ) from None
        except BaseException:
            await asyncio.shield(self.let_go())
            raise
        return self

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                self._take(json.loads(line))
        self.ended.set()
        broken = EnvironmentBroken(f"the run's supervisor has ended; see {self._log}")
        for future in (*self._pending.values(), self._hello):
            if not future.done():
                future.set_exception(broken)
                future.exception()  # whoever waits still gets it; nobody need
        self._pending.clear()

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("event") == "hello":
            self._hello.set_result(RunRecord.from_json(message))
        elif message.get("event") == "refused":
            self._hello.set_exception(EnvironmentBroken(message["error"]))
        elif "event" in message:
            self._on_push(message)
        else:
            future = self._pending.pop(message["id"], None)
            if future is not None and not future.done():
                if "error" in message:
                    future.set_exception(EnvironmentBroken(message["error"]))
                else:
                    future.set_result(message["ok"])

    async def call(self, do: str, within_s: float = _ANSWER_S, **arguments: Any) -> Any:
        """One request. Raises EnvironmentBroken with the supervisor's words, when it has ended, or after
        `within_s`.
        """
        if self.ended.is_set() or self._writer is None:
            raise EnvironmentBroken(f"the run's supervisor has ended; see {self._log}")
        self._number += 1
        number = self._number
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        self._writer.write(json.dumps({"id": number, "do": do, **arguments}).encode() + b"\n")
        try:
            async with asyncio.timeout(within_s):
                return await future
        except TimeoutError:
            what = " ".join([do, str(arguments.get("name", ""))]).strip()
            raise EnvironmentBroken(f"the supervisor did not answer «{what}» within {within_s:g} s") from None
        finally:
            self._pending.pop(number, None)

    async def run(
        self,
        name: str,
        role: str,
        argv: tuple[str, ...],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        stdin: bytes = b"",
        user: tuple[int, int] | None = None,
    ) -> Identity:
        """Start a process; returns its identity once its program runs. Raises EnvironmentBroken if it
        cannot be run.
        """
        facts = await self.call(
            "start",
            name=name,
            role=role,
            argv=list(argv),
            env=dict(env),
            cwd=str(cwd),
            log=str(log),
            stdin=base64.b64encode(stdin).decode(),
            user=list(user) if user else None,
        )
        return Identity(facts["pid"], facts["start"])

    async def close(self) -> list[str]:
        """End everything of the run; returns what the supervisor could not remove. Safe to repeat."""
        left: list[str] = []
        if not self.ended.is_set():
            with suppress(EnvironmentBroken):
                left = await self.call("close")
        await self.let_go()
        return left

    async def let_go(self) -> None:
        """Close the socket: the supervisor then destroys the run by itself. Waits until it has ended."""
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading
        try:
            await asyncio.to_thread(self._process.wait, _ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait, _ANSWER_S)
        self.ended.set()
