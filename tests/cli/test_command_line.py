"""Every command with rubbish, from anywhere and into anything: the right exit code, a sentence, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Desk, bound_by_permissions

RUBBISH = [
    ((), 2, "Usage"),
    (("no-such-command",), 2, "no-such-command"),
    (("run",), 2, "DRILL"),
    (("run", "nowhere.yaml"), 2, "nowhere.yaml:1:1: no such drill file"),
    (("run", "."), 2, "is a directory"),
    (("run", "binary.yaml"), 2, "binary.yaml:3:"),
    (("run", "shop.yaml", "--runtime", "mainframe"), 2, "no such runtime; known: local, docker"),
    (("run", "shop.yaml", "--pace", "allegro"), 2, "allowed: drill, real"),
    (("run", "shop.yaml", "--seed", "-1"), 2, "--seed"),
    (("run", "shop.yaml", "--reports", "shop.yaml"), 2, "cannot write run folders"),
    (("run", "shop.yaml", "--reports", "/proc/reports"), 2, "cannot write run folders"),
    (("plan", "empty.yaml"), 2, "empty.yaml:1:1"),
    (("plan", "shop.yaml", "--runtime", "mainframe"), 2, "no such runtime; known: local, docker"),
    (("validate",), 2, "DRILL"),
    (("validate", "shop.yaml", "nowhere.yaml"), 2, "shop.yaml: ok"),
    (("schema", "universe"), 2, "allowed: drill, system, result"),
    (("catalogue", "process.kil"), 2, "process.kill"),
    (("catalogue", "\x1b[31mred"), 2, "unknown"),
    (("judge",), 2, "RUN"),
    (("judge", "nowhere"), 2, "no such folder"),
    (("judge", "shop.yaml"), 2, "no such folder"),
    (("judge", "."), 2, "is no run"),
    (("report", "nowhere"), 2, "no such folder"),
    (("report", "shop.yaml"), 2, "no such folder"),
    (("report", "."), 2, "chaoskit judge"),
    (("heal", "everything"), 2, "everything"),
    (("toxiproxy", "--port", "70000"), 2, "--port"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), RUBBISH, ids=lambda value: str(value)[:40])
def test_rubbish(desk: Desk, arguments: tuple[str, ...], code: int, said: str) -> None:
    (desk.folder / "binary.yaml").write_bytes(b"\x7fELF" + bytes(range(256)))
    (desk.folder / "empty.yaml").write_text("")
    ended = desk.chaoskit(*arguments)
    assert (ended.code, said in ended.both) == (code, True), ended.both
    assert "\x1b" not in ended.both
    assert not (desk.folder / "reports").exists()


def test_what_needs_nothing_says_something(desk: Desk) -> None:
    assert desk.chaoskit("--version").out.startswith("chaoskit ")
    assert "Exit codes" in desk.chaoskit("--help").out
    assert "process.kill" in desk.chaoskit("catalogue").out
    page = desk.chaoskit("catalogue", "link.latency").out
    assert page.startswith("link.latency (fault)\n====")
    assert "latency" in page.partition("Parameters")[2]
    for name in ("drill", "system", "result"):
        assert json.loads(desk.chaoskit("schema", name).out)["type"] == "object"
    assert desk.chaoskit("heal").out == "nothing to heal\n"
    # What another test's killed process has left in the machine's temporary folder is not this one's business.
    assert desk.chaoskit("clean", env={"TMPDIR": str(desk.folder)}).out == "nothing to clean\n"


def test_plan_is_read_aloud_from_anywhere_and_starts_nothing(desk: Desk, tmp_path: Path) -> None:
    ended = desk.chaoskit("plan", os.path.relpath(desk.drill, "/"), cwd=Path("/"))
    assert ended.code == 0, ended.both
    assert "0s: process.kill on web" in ended.out
    assert not desk.state.exists()
    assert not (desk.folder / "reports").exists()


def test_a_folder_without_permission(desk: Desk) -> None:
    locked = desk.folder / "locked"
    locked.mkdir()
    locked.chmod(0)
    if os.geteuid() == 0:  # the owner's own modes are obeyed as well, but root owns what it makes
        os.chown(locked, 65534, 65534)
    try:
        for arguments in (
            ("judge", locked),
            ("judge", locked / "run"),
            ("report", locked / "run"),
            ("validate", locked / "drill.yaml"),
            ("run", desk.drill, "--reports", locked / "reports"),
        ):
            ended = desk.chaoskit(*arguments, preexec=bound_by_permissions)
            assert ended.code == 2, ended.both
            assert str(locked) in ended.both.replace("\n", "") or "not readable" in ended.both
        closed = {"CHAOSKIT_STATE_DIR": str(locked)}
        for command in ("heal", "clean", "doctor"):
            ended = desk.chaoskit(command, env=closed, preexec=bound_by_permissions)
            assert ended.code == 3, ended.both
            assert "CHAOSKIT_STATE_DIR" in ended.both
    finally:
        locked.chmod(0o700)


def test_nobody_reads_on(desk: Desk) -> None:
    """`chaoskit catalogue | head -1`: the reader has what it wanted."""
    process = desk.popen("catalogue")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=30), err) == (0, b"")


def test_nobody_reads_the_verdict(desk: Desk, run_folder: Path) -> None:
    """A verdict is the exit code, read or not: this run is judged as unknown."""
    (run_folder / "result.json").unlink()
    events = run_folder / "events.jsonl"
    events.write_text("".join(events.read_text().splitlines(keepends=True)[:20]))
    process = desk.popen("judge", run_folder)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 3


def test_a_full_disk_is_no_success(desk: Desk) -> None:
    with open("/dev/full", "wb") as full:
        process = desk.popen("schema", stdout=full.fileno())
        _, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert b"standard output could not be written: No space left on device" in err


def test_closed_descriptors_are_not_taken_for_files(desk: Desk) -> None:
    """With descriptor 1 closed, the first file that is opened would get its number and every print."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", sys.executable, "-m", "chaoskit", "judge", "nowhere"],
        cwd=desk.folder,
        env=desk.environment(),
        timeout=30,
        check=False,
    )
    assert done.returncode == 2


@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_terminal_without_our_signs(desk: Desk, run_folder: Path, env: dict[str, str]) -> None:
    ended = desk.chaoskit("report", run_folder, env=env)
    assert ended.code == 0
    assert ended.out.isascii()
    assert "?" not in ended.out
    assert "shop-crash: pass (machine 0." in ended.out
    assert desk.chaoskit("plan", desk.drill, env=env).code == 0
    assert desk.chaoskit("--help", env=env).out.isascii()
    assert json.loads(desk.chaoskit("schema", env=env).out)


def test_a_file_name_that_is_no_text(desk: Desk) -> None:
    name = os.fsdecode(b"\xff\x1b[31m\xe2\x80\xae.yaml")
    ended = desk.chaoskit("validate", name)
    assert ended.code == 2
    assert "\\xff" in ended.err
    assert "\x1b" not in ended.both
    assert "\u202e" not in ended.both


def test_colour_only_where_it_is_wanted(desk: Desk) -> None:
    assert "\x1b" not in desk.chaoskit("--help").out
    assert (
        "\x1b" not in desk.chaoskit("--help", env={"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "dumb"}).out
    )


def test_an_error_of_our_own_is_unknown_and_reported(desk: Desk) -> None:
    """Never 0, which is a pass, and never 1, which is a judgement of somebody's system."""
    broken = desk.folder / "sitecustomize.py"
    broken.write_text(
        "import chaoskit.registry\n"
        "def crash(kind):\n    raise ZeroDivisionError('a bug \\x1b[31m of ours')\n"
        "chaoskit.registry.members = crash\n"
    )
    path = os.pathsep.join([str(desk.folder), str(Path(__file__).parents[2])])
    ended = desk.chaoskit("catalogue", env={"PYTHONPATH": path})
    assert ended.code == 3
    assert "ZeroDivisionError: a bug" in ended.err
    assert "\x1b" not in ended.err
    (report,) = (desk.state / "crashes").iterdir()
    assert str(report) in ended.err
    text = report.read_text()
    assert "command: chaoskit catalogue" in text
    assert "Traceback (most recent call last)" in text


def test_a_folder_without_a_drill_is_no_proof(desk: Desk) -> None:
    empty = desk.folder / "empty"
    empty.mkdir()
    ended = desk.chaoskit("prove", empty)
    assert ended.code == 2, ended.both
    assert "no drill file" in ended.err
