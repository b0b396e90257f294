"""Every way a run on Docker may end: interrupted, aborted, killed, never started; nothing is left, and it judges."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.runtimes.docker.engine_socket import EngineSocket, engine_url
from chaoskit.runtimes.docker.ownership import RUN, STATE
from chaoskit.runtimes.docker.removal import labelled
from tests.end_to_end.conftest import Command, Workplace
from tests.end_to_end.test_exit_codes import left_running, wait_for_event

pytestmark = pytest.mark.docker

SMALL = Path(__file__).parents[1] / "runtimes" / "docker" / "small"
GONE_WITHIN_S = 15.0
Edit = Callable[[str], str]


def same(text: str) -> str:
    return text


def shop(workplace: Workplace, compose: Edit = same, drill: Edit = same) -> Path:
    """The small system in the workplace, with its files edited; returns the drill."""
    folder = Path(shutil.copytree(SMALL, workplace.folder / "small"))
    for name, edit in (("compose.yaml", compose), ("drill.yaml", drill)):
        (folder / name).write_text(edit((folder / name).read_text()))
    return folder / "drill.yaml"


def replaced(old: str, new: str) -> Edit:
    """An edit that must have something to do."""

    def edit(text: str) -> str:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        return text.replace(old, new)

    return edit


def run(workplace: Workplace, drill: Path) -> Command:
    return workplace.run(drill, "--runtime", "docker")


def popen(workplace: Workplace, drill: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        workplace.command("run", drill, "--runtime", "docker", "--reports", workplace.reports),
        cwd=workplace.folder,
        env=workplace.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left_of(workplace: Workplace) -> list[str]:
    """Objects on the engine, processes and records of the runs of this workplace."""
    state = Path(workplace.environment["CHAOSKIT_STATE_DIR"])
    found = labelled(EngineSocket(engine_url()), [RUN])
    objects = [str(each) for each in found if each.labels.get(STATE, "").startswith(f"{state}/")]
    return [*objects, *left_running(workplace.folder), *map(str, state.glob("*/*"))]


def prove_gone(workplace: Workplace, within_s: float = 0.0) -> None:
    end = time.monotonic() + within_s
    while (left := left_of(workplace)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


@pytest.mark.parametrize(
    ("number", "kind", "after_s"),
    [
        (signal.SIGINT, "fault.witnessed", 0.0),
        (signal.SIGTERM, "run.begin", 0.6),
        (signal.SIGHUP, "estate.ready", 0.0),
    ],
)
def test_130_interrupted_heals(
    workplace: Workplace, number: signal.Signals, kind: str, after_s: float
) -> None:
    process = popen(workplace, shop(workplace))
    try:
        assert wait_for_event(workplace, kind)
        time.sleep(after_s)  # into provisioning, which has no event of its own
        process.send_signal(number)
        process.send_signal(number)
        out, _ = process.communicate(timeout=150)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert workplace.result()["outcome"] in ("unknown", "aborted")
    prove_gone(workplace)


def test_4_aborted_by_its_guard(workplace: Workplace) -> None:
    drill = shop(
        workplace,
        drill=lambda text: re.sub(r"  - \{when: .*\n", "", text) + "abort: {if: success < 90%, for: 1s}\n",
    )
    done = run(workplace, drill)
    assert done.code == 4, done.both
    assert workplace.result()["outcome"] == "aborted"
    prove_gone(workplace)


BAD_COMMAND = replaced('[perl, /serve.pl, "8080"]', '[sh, -c, "echo no such ledger; exit 7"]')
NO_SUCH_PROGRAM = replaced('[perl, /serve.pl, "8080"]', "[no-such-program]")
NEVER_HEALTHY = replaced(
    "test: [CMD, perl, -MIO::Socket::INET, -e, 'exit !IO::Socket::INET->new(\"127.0.0.1:8080\")']",
    "test: [CMD, sh, -c, 'echo the ledger is empty; exit 1']\n      retries: 3\n      timeout: 1s",
)


@pytest.mark.parametrize(
    ("compose", "said"),
    [
        (BAD_COMMAND, ("back", "exit status 7", "no such ledger")),
        (NO_SUCH_PROGRAM, ("back", "no-such-program")),
        (NEVER_HEALTHY, ("back", "the ledger is empty")),
    ],
    ids=["ends", "no such program", "never healthy"],
)
def test_3_a_service_that_does_not_start_is_named_with_its_last_words(
    workplace: Workplace, compose: Edit, said: tuple[str, ...]
) -> None:
    done = run(workplace, shop(workplace, compose))
    assert done.code == 3, done.both
    assert "Traceback" not in done.both
    for words in said:
        assert words in done.out, done.both
    prove_gone(workplace)
    (folder,) = workplace.folders()
    judged = workplace.chaoskit("judge", folder)
    assert judged.code == 3, judged.both
    assert said[0] in judged.out


@pytest.mark.parametrize("kind", ["estate.ready", "fault.begin"])
def test_sigkill_of_the_command(workplace: Workplace, kind: str) -> None:
    process = popen(workplace, shop(workplace))
    try:
        assert wait_for_event(workplace, kind)
    finally:
        process.kill()
        process.communicate()
    prove_gone(workplace, GONE_WITHIN_S)
    (folder,) = workplace.folders()
    judged = workplace.chaoskit("judge", folder)
    assert judged.code in (3, 4), judged.both
    assert "Traceback" not in judged.both
    done = workplace.chaoskit("heal")
    assert (done.code, folder.name in done.out) == (0, False), done.both


def test_its_state_directory_may_go_while_it_runs(workplace: Workplace) -> None:
    process = popen(workplace, shop(workplace))
    try:
        assert wait_for_event(workplace, "estate.ready")
        shutil.rmtree(workplace.environment["CHAOSKIT_STATE_DIR"])
        out, _ = process.communicate(timeout=150)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in out
    prove_gone(workplace)


def test_two_runs_of_one_drill_at_once(workplace: Workplace) -> None:
    drill = shop(workplace)
    both = [popen(workplace, drill) for _ in range(2)]
    outs = [one.communicate(timeout=200)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], outs
    outcomes = [json.loads((folder / "result.json").read_text())["outcome"] for folder in workplace.folders()]
    assert outcomes == ["pass", "pass"]
    prove_gone(workplace)
