"""What the official image's conventions become, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.system import Service
from chaoskit.runtimes.local.pg_settings import PgSettings, read_settings, server_argv

PASSWORD = {"POSTGRES_PASSWORD": "drill-only"}


def settings(**more: object) -> PgSettings:
    """Of a service with a password."""
    return read_settings(Service(name="db", **more), PASSWORD)  # type: ignore[arg-type]


def value(argv: tuple[str, ...], name: str) -> str:
    """What the server makes of several `-c name=…`: the last one."""
    return [word.partition("=")[2] for word in argv if word.startswith(name + "=")][-1]


def argv(found: PgSettings) -> tuple[str, ...]:
    """The server's command line."""
    return server_argv(Path("/pg"), Path("/data"), found, Address("127.9.9.1", 5432))


def test_settings_of_the_command_win_over_ours_but_for_the_address() -> None:
    command = (
        "postgres",
        "-c",
        "fsync=on",
        "-cwork_mem=8MB",
        "--max-connections=60",
        "-c",
        "listen_addresses=*",
    )
    words = argv(settings(command=command))
    assert words[:3] == ("/pg/bin/postgres", "-D", "/data")
    assert (value(words, "fsync"), value(words, "work_mem"), value(words, "max_connections")) == (
        "on",
        "8MB",
        "60",
    )
    assert value(words, "listen_addresses") == "127.9.9.1"
    assert value(words, "unix_socket_directories") == ""


def test_a_standby_waits_for_nobody_unless_its_own_command_says_so() -> None:
    conninfo = {**PASSWORD, "PRIMARY_CONNINFO": "host=db"}
    plain = read_settings(Service(name="db"), conninfo)
    # Not on its command line, where nobody could change it: in its own file, which is made with its copy.
    assert not any("synchronous_standby_names" in word for word in argv(plain))
    own = read_settings(
        Service(name="db", command=("postgres", "-c", "synchronous_standby_names=x")), conninfo
    )
    assert value(argv(own), "synchronous_standby_names") == "x"


@pytest.mark.parametrize("command", [("postgres", "-F"), ("postgres", "-c"), ("postgres", "x")])
def test_a_command_that_is_not_understood_is_refused(command: tuple[str, ...]) -> None:
    with pytest.raises(EnvironmentBroken, match="command of db has"):
        settings(command=command)


def test_scripts_run_in_order_and_others_than_sql_are_refused(tmp_path: Path) -> None:
    for name in ("20-b.sql", "10-a.sql", ".hidden"):
        (tmp_path / name).write_text(f"-- {name}")
    mounts = {"/docker-entrypoint-initdb.d": str(tmp_path)}
    assert [name for name, _ in settings(mounts=mounts).scripts] == ["10-a.sql", "20-b.sql"]
    single = {"/docker-entrypoint-initdb.d/30-c.sql": str(tmp_path / "10-a.sql")}
    assert settings(mounts=single).scripts == (("30-c.sql", "-- 10-a.sql"),)
    over = {"/docker-entrypoint-initdb.d/20-b.sql": str(tmp_path / "10-a.sql"), **mounts}
    assert settings(mounts=over).scripts == (("10-a.sql", "-- 10-a.sql"), ("20-b.sql", "-- 10-a.sql"))
    (tmp_path / "15-evil.sh").write_text("true")
    with pytest.raises(EnvironmentBroken, match=r"15-evil\.sh, which the local runtime does not run"):
        settings(mounts=mounts)


def test_a_missing_password_is_refused_as_the_image_does() -> None:
    with pytest.raises(EnvironmentBroken, match="db has no POSTGRES_PASSWORD"):
        read_settings(Service(name="db"), {})
    assert read_settings(Service(name="db"), {"POSTGRES_HOST_AUTH_METHOD": "trust"}).host_auth == "trust"


def test_what_initialises_differently_is_cached_apart(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1")
    mounts = {"/docker-entrypoint-initdb.d": str(tmp_path)}
    found = [settings(mounts=mounts).digest]
    (tmp_path / "a.sql").write_text("SELECT 2")
    found.append(settings(mounts=mounts).digest)
    found.append(settings().digest)
    found.append(read_settings(Service(name="db"), {"POSTGRES_PASSWORD": "other"}).digest)
    assert len(set(found)) == 4
    assert settings().digest == read_settings(Service(name="another"), PASSWORD).digest
