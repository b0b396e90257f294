"""Whether this machine can run the local runtime: every reason why not, with what to do."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.system import System
from chaoskit.runtimes.local import pg_install

_FREE_BYTES_MIN = 500 * 10**6


def temporary_folder(postgresql: bool = True) -> Path:
    """Where scratch folders go: TMPDIR, unless PostgreSQL runs as another user who cannot reach it.

    Raises EnvironmentBroken when no folder will do.
    """
    user = pg_install.runs_as() if postgresql else None
    tried = []
    for path in dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"))):
        if os.access(path, os.W_OK | os.X_OK) and (user is None or _passable(path)):
            return path.resolve()
        tried.append(str(path))
    raise EnvironmentBroken(
        f"no folder for scratch data that PostgreSQL's user can reach among {', '.join(tried)}; set TMPDIR to one"
    )


def _passable(path: Path) -> bool:
    """Whether any user may pass through the folder and all above it."""
    try:
        return all(each.stat().st_mode & 0o001 for each in (path.resolve(), *path.resolve().parents))
    except OSError:
        return False


def _need_a_name() -> None:
    """PostgreSQL looks up who runs it, and refuses a user id without a name (as some containers have)."""
    user = (pg_install.runs_as() or (os.geteuid(), 0))[0]
    try:
        pwd.getpwuid(user)
    except KeyError:
        raise EnvironmentBroken(
            f"user id {user} has no entry in /etc/passwd, which PostgreSQL needs; add one: "
            f"echo 'drill:x:{user}:{user}::/tmp:/bin/sh' >> /etc/passwd"
        ) from None


def preflight(system: System | None = None) -> None:
    """Raises EnvironmentBroken with the remedy when a drill of `system` could not run here."""
    if not sys.platform.startswith("linux"):
        raise EnvironmentBroken(
            f"the local runtime needs Linux; this is {sys.platform}; use a virtual machine"
        )
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        raise EnvironmentBroken("this Python has no pidfd calls; the local runtime needs Linux 5.4 or newer")
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        raise EnvironmentBroken(
            f"this kernel refuses pidfd_open ({error.strerror}); the local runtime needs Linux 5.4 or newer, "
            "and a container's seccomp profile that allows it"
        ) from error
    if not Path("/proc/self/stat").exists():
        raise EnvironmentBroken("/proc is not mounted; mount it: mount -t proc proc /proc")
    needs_postgresql = system is None or any(local.postgresql for local in system.local.values())
    if needs_postgresql:
        pg_install.wheel()
        _need_a_name()
    folder = temporary_folder(needs_postgresql)
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES_MIN:
        raise EnvironmentBroken(
            f"{folder} has {free / 1e6:.0f} MB free; the local runtime needs {_FREE_BYTES_MIN / 1e6:.0f} MB for "
            "databases; free some, or set TMPDIR"
        )
