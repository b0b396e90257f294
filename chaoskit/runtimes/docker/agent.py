"""The agent: a root shell on the engine's host for a conductor that is not root, in a container that may.

conductor ──stdin──► container (pid: host) ──nsenter -t 1──► sh, on the host's own files
          ◄─stdout── one line an answer: number, status, standard output and error in base64
"""

from __future__ import annotations

import asyncio
import base64
import shlex
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.engine import Engine

IMAGE = "debian:bookworm-slim"
# Where the first process may not be looked at, the engine's own is in the same namespaces.
_SHELL = (
    "for p in 1 $(grep -lx dockerd /proc/[0-9]*/comm | cut -d/ -f3); do "
    'if nsenter -t "$p" -m -u -n -i true 2>/dev/null; then exec nsenter -t "$p" -m -u -n -i sh; fi; done; exit 1'
)
_HEADER = struct.Struct(">BxxxL")
_STDOUT = 1


class Agent:
    """Started with the first command; commands run one after the other. Its shell ends with the connection."""

    def __init__(self, engine: Engine, labels: Mapping[str, str]) -> None:
        self._engine = engine
        self._labels = dict(labels)
        self._turn = asyncio.Lock()
        self._id = ""
        self._socket: socket.socket | None = None
        self._answers = b""
        self._number = 0

    async def run(self, argv: Sequence[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        """Status, standard output and error. Raises EnvironmentBroken when the agent is gone."""
        async with self._turn:
            if self._socket is None:
                await self._start()
            self._number += 1
            await self._send(_script(self._number, argv, stdin))
            while True:
                number, status, out, err = (await self._line()).split(b" ")
                if int(number) == self._number:  # an earlier one was given up while it ran
                    return int(status), base64.b64decode(out), base64.b64decode(err)

    async def close(self) -> None:
        """Remove its container."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._id:
            api, agent, self._id = self._engine.client.api, self._id, ""
            await self._engine.do("remove the agent", lambda: api.remove_container(agent, force=True))

    async def _start(self) -> None:
        self._id, attached = await self._engine.do("start the agent for root's work", self._make)
        attached.setblocking(False)
        self._socket = attached

    def _make(self) -> tuple[str, socket.socket]:
        api: Any = self._engine.client.api
        made = api.create_container(
            IMAGE,
            ["sh", "-c", _SHELL],
            stdin_open=True,
            labels=self._labels,
            network_disabled=True,
            host_config=api.create_host_config(
                pid_mode="host",
                # Not `privileged`: hosts that keep a capability back refuse that.
                cap_add=["ALL"],
                cap_drop=["SYS_RESOURCE"],
                security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            ),
        )
        try:
            stream = api.attach_socket(made["Id"], {"stdin": 1, "stdout": 1, "stderr": 0, "stream": 1})
            api.start(made["Id"])
            # The SDK's object closes the connection when it is collected.
            return made["Id"], stream._sock.dup()
        except BaseException:
            api.remove_container(made["Id"], force=True)
            raise

    async def _send(self, script: bytes) -> None:
        assert self._socket is not None
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, script)
        except OSError as error:
            raise EnvironmentBroken(f"the agent for root's work is gone: {error}") from error

    async def _line(self) -> bytes:
        while b"\n" not in self._answers:
            kind, size = _HEADER.unpack(await self._exactly(_HEADER.size))
            chunk = await self._exactly(size)
            self._answers += chunk if kind == _STDOUT else b""
        line, _, self._answers = self._answers.partition(b"\n")
        return line

    async def _exactly(self, size: int) -> bytes:
        assert self._socket is not None
        found = b""
        while len(found) < size:
            got = await asyncio.get_running_loop().sock_recv(self._socket, size - len(found))
            if not got:
                raise EnvironmentBroken("the agent for root's work has ended; was its container removed?")
            found += got
        return found


def _script(number: int, argv: Sequence[str], stdin: bytes) -> bytes:
    command = " ".join(shlex.quote(part) for part in argv)
    given = shlex.quote(base64.b64encode(stdin).decode())
    return (
        'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; export PATH LC_ALL=C; d=$(mktemp -d); '
        f'printf %s {given} | base64 -d | {command} >"$d/o" 2>"$d/e"; s=$?; '
        f'echo {number} "$s" "$(base64 -w0 "$d/o")" "$(base64 -w0 "$d/e")"; rm -rf "$d"\n'
    ).encode()
