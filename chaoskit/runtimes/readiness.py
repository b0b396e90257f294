"""Whether a starting service listens, where it listens, and whether it says that it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.runtimes.sockets import listening_of

_LOOK_EVERY_S = 0.01  # nothing announces that another process has begun to listen
_LOOK_S = 1.0
_TAIL_LINES = 20
_TAIL_BYTES = 16384
Check = Callable[[], Awaitable[bool]]


async def until(check: Check, ended: asyncio.Event, within_s: float) -> bool:
    """Repeat `check` until it is true. False if `ended` came first; raises TimeoutError after `within_s`
    seconds.
    """
    async with asyncio.timeout(within_s):
        while not ended.is_set():
            if await check():
                return True
            await asyncio.sleep(_LOOK_EVERY_S)
    return False


async def accepts(address: Address) -> bool:
    """Whether a TCP connection is accepted there now."""
    try:
        async with asyncio.timeout(_LOOK_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def answers(address: Address, path: str) -> bool:
    """Whether GET `path` is answered with 2xx."""
    try:
        async with asyncio.timeout(_LOOK_S):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                writer.write(
                    f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode("latin-1")
                )
                words = (await reader.readline()).split()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    return len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].startswith(b"2")


def postmaster_ready(data: Path, pid: int) -> bool:
    """Whether that postmaster accepts sessions: line 8 of its postmaster.pid, as pg_ctl reads it."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def refuse_everywhere(service: str, pids: Iterable[int]) -> None:
    """Raises EnvironmentBroken, naming the service and the setting to give, when it listens on all
    addresses.
    """
    for listener in listening_of(pids):
        if listener.everywhere:
            raise EnvironmentBroken(
                f"{service} listens on all addresses ({listener}): two runs on one machine would meet there, and its "
                f"links would not be the only way to it. {bind_hint(service)}"
            )


def bind_hint(service: str) -> str:
    """How to make a service bind its own address."""
    return (
        f"Bind it to {{address}}, the address it is given: `local: {service}:` with `--host {{address}}` in its `run`, "
        'or the variable it reads under `environment`, like `{LISTEN_HOST: "{address}"}`'
    )


def tail(log: Path, lines: int = _TAIL_LINES) -> tuple[str, ...]:
    """The last lines of a log; empty if there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(text.splitlines()[-lines:])


def with_tail(message: str, log: Path) -> str:
    """The message, and the end of the log below it."""
    last = tail(log)
    if not last:
        return f"{message}; it has written nothing to {log}"
    return "\n".join([f"{message}; the end of {log}:", *(f"    {line}" for line in last)])
