"""The conductor's side of the janitor: started before a run's first object exists, asked to remove all at the end.

janitor = await Janitor.start(owner, engine.url, folder)     from here on, dying leaves nothing
…                                                            objects with owner.labels are made
left = await janitor.close()                                 all of them are gone, or named
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.janitor_process import CLOSE_SILENT_S, CLOSE_WITHIN_S
from chaoskit.runtimes.docker.janitor_record import JanitorRecord
from chaoskit.runtimes.docker.ownership import Owner
from chaoskit.runtimes.docker.removal import QUIET_S, labelled, remove_all
from chaoskit.runtimes.residue import RUN_MARK
from chaoskit.runtimes.supervision import own_environment

_WATCHING_S = 15.0
_RESTARTS_MAX = 3
_SPARE_S = 10.0
_DRAIN_S = 10.0
"""How long a call that the engine is at may take when the run ends."""


class Drains(Protocol):
    """An engine's client that knows of the calls which nobody waits for any more."""

    async def drain(self, within_s: float) -> bool:
        """Wait for them; False if some are still under way after `within_s`."""


class Janitor:
    """A live janitor. One that is killed is replaced; `close` works with and without it."""

    def __init__(self, record: JanitorRecord) -> None:
        self._record = record
        self._log = Path(record.folder) / "logs" / "janitor.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._answer: asyncio.Future[list[str]] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._closing = False
        self.broken: str | None = None
        """Why nobody watches the conductor any more; None while somebody does."""

    @classmethod
    async def start(cls, owner: Owner, engine_url: str, folder: Path, scratch: Path | None = None) -> Janitor:
        """Return when the janitor watches the calling process. `folder` is the run folder; `scratch` goes with the run.

        Raises EnvironmentBroken when it does not come to that; nothing is left then.
        """
        self = cls(JanitorRecord(owner, engine_url, str(folder), str(scratch or "")))
        try:
            await self._spawn()
        except BaseException:
            await asyncio.shield(self._let_go())
            raise
        self._keeping = asyncio.create_task(self._keep(), name="janitor")
        return self

    @property
    def pid(self) -> int:
        """The janitor's process; 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    async def close(self, engine: Drains | None = None) -> list[str]:
        """Remove everything of the run and end the janitor; returns what is left, as the engine shows it.

        `engine` is whom the run's objects were asked of: what an interrupted request made after the janitor's last look
        goes as well. Safe to repeat.
        """
        if engine is None:
            return await self._close(0.0)
        left, drained = await asyncio.gather(self._close(0.0), engine.drain(_DRAIN_S))
        if left or (drained and not await self.remaining()):
            return left
        return await self._close(0.0 if drained else QUIET_S)

    async def _close(self, quiet_s: float) -> list[str]:
        self._closing = True
        left = await self._asked(quiet_s)
        await self._let_go()
        if left is None:
            left = await asyncio.to_thread(self._by_hand, quiet_s)
        return left

    async def remaining(self) -> list[str]:
        """What of the run the engine still has: the proof after `close`. Raises EnvironmentBroken if it is silent."""
        engine = EngineSocket(self._record.engine)
        return [
            str(found) for found in await asyncio.to_thread(labelled, engine, self._record.owner.selector)
        ]

    # -- the process ------------------------------------------------------------------------------------

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        environment = own_environment()
        environment.pop(RUN_MARK, None)
        argv = [sys.executable, "-m", "chaoskit.runtimes.docker.janitor_process", str(theirs.fileno())]
        with theirs, open(self._log, "ab") as output:  # noqa: ASYNC230 - as below
            self._process = subprocess.Popen(  # noqa: ASYNC220 - a few ms, and it must not be interrupted half-way
                [*argv, json.dumps(self._record.as_json())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        try:
            async with asyncio.timeout(_WATCHING_S):
                line = await self._reader.readline()
        except TimeoutError:
            raise EnvironmentBroken(
                f"the janitor did not start within {_WATCHING_S:g} s; see {self._log}"
            ) from None
        hello = json.loads(line) if line else {}
        if hello.get("event") != "watching":
            raise EnvironmentBroken(hello.get("error") or f"the janitor has ended; see {self._log}")

    async def _keep(self) -> None:
        """Read answers; replace a janitor that ends unasked, a few times."""
        for restart in range(_RESTARTS_MAX + 1):
            await self._read()
            if self._closing:
                return
            if restart < _RESTARTS_MAX:
                try:
                    await self._replace()
                except (EnvironmentBroken, OSError) as error:
                    self.broken = str(error)
                    return
        self.broken = f"the run's janitor was ended {_RESTARTS_MAX + 1} times; see {self._log}"

    async def _read(self) -> None:
        with suppress(ConnectionError, ValueError):
            while line := await self._reader.readline():
                message = json.loads(line)
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result(message["left"])
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(EnvironmentBroken(f"the janitor has ended; see {self._log}"))

    async def _replace(self) -> None:
        async with self._changing:
            self._writer.close()
            await self._reap()
            if not self._closing:
                await self._spawn()

    async def _asked(self, quiet_s: float) -> list[str] | None:
        """The janitor's answer; None when there is no janitor that gives one."""
        async with self._changing:
            if self._keeping is None or self._keeping.done() or self._process is None:
                return None
        self._answer = asyncio.get_running_loop().create_future()
        request: dict[str, Any] = {"do": "close", "quiet_s": quiet_s}
        try:
            self._writer.write(json.dumps(request).encode() + b"\n")
            async with asyncio.timeout(CLOSE_WITHIN_S + quiet_s + _SPARE_S):
                return await self._answer
        except (TimeoutError, EnvironmentBroken, ConnectionError):
            return None

    async def _let_go(self) -> None:
        """End it: a janitor that has answered ends by itself; for another one the closed socket is the sign."""
        if self._keeping is not None:
            async with self._changing:
                self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
        if hasattr(self, "_writer"):
            self._writer.close()
        await self._reap()

    async def _reap(self) -> None:
        process = self._process
        if process is None:
            return
        try:
            await asyncio.to_thread(process.wait, _SPARE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait, _SPARE_S)
        self._process = None

    def _by_hand(self, quiet_s: float) -> list[str]:
        record, engine = self._record, EngineSocket(self._record.engine)
        look = partial(labelled, engine, record.owner.selector)
        try:
            left = remove_all(engine, look, quiet_s=quiet_s, within_s=CLOSE_WITHIN_S, silent_s=CLOSE_SILENT_S)
        except EnvironmentBroken as error:
            return [str(error)]
        left = left or record.remove_scratch()
        if not left:
            record.forget()
        return left
