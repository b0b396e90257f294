"""Addresses of a run: a /24 inside 127/8, leased machine-wide."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.sockets import listening

ADDRESSES_MAX = 250
CONTROL_HOST = 254
"""Last byte of the address on which the proxy's API listens."""
_FIRST, _LAST = (
    65,
    190,
)  # 127.65.0.0/16 to 127.190.0.0/16: clear of 127.0.x.x, where resolvers and distributions put things
_BLOCKS = (_LAST - _FIRST + 1) * 256


@dataclass(frozen=True)
class Block:
    """A leased /24: `prefix` is its first three bytes; the lease lasts as long as any process has `fd`
    open.
    """

    prefix: str
    fd: int


def lock_folder() -> Path:
    """Where locks lie that all users of this machine share: $CHAOSKIT_LOCK_DIR or /tmp, whatever TMPDIR
    says.
    """
    return Path(os.environ.get("CHAOSKIT_LOCK_DIR", "/tmp"))


def open_shared(path: Path) -> int:
    """Open a lock file that any user may open.

    Opened before it is created: where fs.protected_regular is set, O_CREAT on another user's file in /tmp is refused.
    Raises EnvironmentBroken when it cannot be opened.
    """
    for _ in range(10):
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise EnvironmentBroken(
                f"cannot open the lock file {path}: {error.strerror}; remove it, or set CHAOSKIT_LOCK_DIR"
            ) from error
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            os.fchmod(fd, 0o666)
            return fd
        except FileExistsError:
            continue
        except OSError as error:
            raise EnvironmentBroken(
                f"cannot create the lock file {path}: {error.strerror}; "
                "set CHAOSKIT_LOCK_DIR to a folder that can be written"
            ) from error
    raise EnvironmentBroken(f"the lock file {path} comes and goes; remove it")


def _lock(fd: int, index: int) -> bool:
    """An open-file-description lock on one byte: ours alone, gone with the last process that has the file
    open.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, index, 1, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def lease_block(run: str, folder: Path | None = None) -> Block:
    """Lease a /24 in which nothing listens. Raises EnvironmentBroken when there is none.

    Where to begin looking follows from the run's name, so that runs started together do not race for the same ones.
    """
    fd = open_shared((folder or lock_folder()) / "chaoskit-addresses.lock")
    taken = {address.host.rpartition(".")[0] for address in listening()}
    begin = int.from_bytes(hashlib.sha256(run.encode()).digest()[:4], "big")
    for offset in range(_BLOCKS):
        index = (begin + offset) % _BLOCKS
        prefix = f"127.{_FIRST + index // 256}.{index % 256}"
        if prefix in taken or not _lock(fd, index):
            continue
        _try_to_bind(prefix)
        return Block(prefix, fd)
    os.close(fd)
    raise EnvironmentBroken(
        "every address block in 127/8 is taken; `chaoskit clean` frees those of dead runs"
    )


def _try_to_bind(prefix: str) -> None:
    with socket.socket() as probe:
        try:
            probe.bind((f"{prefix}.1", 0))
        except OSError as error:
            raise EnvironmentBroken(
                f"cannot listen on {prefix}.1: {error.strerror}; the local runtime needs Linux with 127.0.0.0/8 on lo"
            ) from error
