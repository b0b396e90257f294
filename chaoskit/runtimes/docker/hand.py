"""Root's hand on the engine's host: commands run as root, there or inside a container's network.

this process is root      ──► the command itself
it is not                 ──► a shell of the host's, in a privileged agent container, over its standard input
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.agent import Agent
from chaoskit.runtimes.docker.engine import Engine

_WITHIN_S = 10.0


@dataclass(frozen=True)
class Done:
    """What became of a command; 127 when the host does not have it."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Hand:
    """Every call ends within `within_s`, else EnvironmentBroken: the command is killed, its effect unknown."""

    def __init__(self, engine: Engine, labels: Mapping[str, str], *, direct: bool | None = None) -> None:
        """`direct` says whether this process has the rights itself; by default when it is root."""
        self._direct = os.geteuid() == 0 if direct is None else direct
        self._agent = Agent(engine, labels)

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, within_s: float = _WITHIN_S) -> Done:
        """Run a command on the engine's host, as root."""
        try:
            async with asyncio.timeout(within_s):
                if self._direct:
                    return await _run(argv, stdin)
                return Done(*await self._agent.run(argv, stdin))
        except TimeoutError:
            raise EnvironmentBroken(f"{' '.join(argv)} did not end within {within_s:g} s") from None

    async def in_network(
        self, pid: int, argv: Sequence[str], stdin: bytes = b"", *, within_s: float = _WITHIN_S
    ) -> Done:
        """Run one of the host's commands in the network namespace of a process, given by its host pid."""
        return await self.run(["nsenter", "-t", str(pid), "-n", *argv], stdin, within_s=within_s)

    async def close(self) -> None:
        """Remove the agent, if there was need of one."""
        await self._agent.close()


async def _run(argv: Sequence[str], stdin: bytes) -> Done:
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is the conductor's to act on
            env={**os.environ, "LC_ALL": "C", "PATH": _path()},
        )
    except FileNotFoundError as error:
        return Done(127, b"", f"{argv[0]}: {error.strerror}".encode())
    try:
        out, err = await process.communicate(stdin)
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    return Done(process.returncode or 0, out, err)


def _path() -> str:
    """iptables, ss and ip live where an ordinary user's PATH does not look."""
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/local/sbin:/usr/sbin:/sbin"
