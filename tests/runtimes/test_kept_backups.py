"""What a store must hold so that a database can be restored from it, whichever runtime has listed it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.backups import _parsed
from chaoskit.runtimes.kept_backups import LONG_HEADER, Stored, log_gap, recovery_settings

SERVER, MEGABYTE = 7301, 2**20


def head(server: int = SERVER, size: int = 16 * MEGABYTE) -> bytes:
    return LONG_HEADER.pack(0xD118, 2, 1, 0, 0, server, size, 8192)


def manifest(start: str = "0/4000028") -> bytes:
    return json.dumps({"System-Identifier": SERVER, "WAL-Ranges": [{"Start-LSN": start}]}).encode()


def piece(number: int, ending: str = "") -> str:
    return f"{1:08X}{0:08X}{number:08X}{ending}"


SOUND = {piece(3): head(), piece(4): head(), piece(5, ".partial"): head()}


def test_a_log_that_begins_before_the_base_backup_and_has_no_gap_is_sound() -> None:
    assert log_gap(Stored(manifest=manifest(), log={**SOUND, "00000002.history": b""})) == ""


@pytest.mark.parametrize("begun", [b"", bytes(4), bytes(LONG_HEADER.size)])
def test_a_last_piece_of_which_nothing_was_received_yet_is_none(begun: bytes) -> None:
    assert log_gap(Stored(manifest=manifest(), log={**SOUND, piece(6, ".partial"): begun})) == ""
    assert "no log beside" in log_gap(Stored(manifest=manifest(), log={piece(4, ".partial"): begun}))
    assert log_gap(
        Stored(manifest=manifest(), log={**SOUND, piece(6): begun})
    )  # one that is said to be finished


@pytest.mark.parametrize(
    ("kept", "log", "said"),
    [
        (b"", SOUND, "the base backup has no manifest"),
        (b"\x00locked", SOUND, "the base backup's manifest cannot be read"),
        (b"[]", SOUND, "the base backup's manifest cannot be read"),
        (manifest(), {}, "there is no log beside the base backup"),
        (manifest(), {piece(4) + ".locked": head()}, "there is no log beside the base backup"),
        (manifest(), {piece(4): head()[:20]}, "is cut short"),
        (manifest(), {piece(4): head(server=1)}, "is no log of this server"),
        (manifest(), {piece(3): head()}, f"the log ends with {piece(3)}, before the base backup's 0/4000028"),
        (manifest(), {piece(5): head()}, f"the log begins with {piece(5)}, after"),
        (manifest(), {piece(4): head(), piece(6): head()}, "a piece of the log is missing between"),
    ],
)
def test_what_could_not_be_restored_from_is_said(kept: bytes, log: Mapping[str, bytes], said: str) -> None:
    assert said in log_gap(Stored(manifest=kept, log=log))


def test_what_a_container_lists_is_read_to_the_byte() -> None:
    said = f"file 3\nfile 16777216\nlog 1700000000 x{head().hex()} {piece(4)}\n"
    said += f"log 1700000009 x {piece(5, '.partial')}\n"
    stored = _parsed(said.encode() + b"manifest\n" + manifest())
    assert stored == Stored(
        2, 16777219, 1700000009.0, manifest(), {piece(4): head(), piece(5, ".partial"): b""}
    )
    # What an attacker has renamed is no log, and is not taken for a mistake of the listing either.
    assert _parsed(f"log 1 x00 {piece(4)}.locked\nmanifest\n".encode()) == Stored()
    assert _parsed(b"log 1 x *\nmanifest\n") == Stored()
    with pytest.raises(EnvironmentBroken, match="cannot be listed: sh: stat: not found"):
        _parsed(b"sh: stat: not found\nmanifest\n")


def test_a_command_with_quotes_is_written_down_as_postgresql_reads_it() -> None:
    text = recovery_settings("cp 'a b/%f' \"%p\"", "0/52211F0")
    assert text.splitlines()[:2] == [
        "restore_command = 'cp ''a b/%f'' \"%p\"'",
        "recovery_target_lsn = '0/52211F0'",
    ]
