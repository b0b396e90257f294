"""Real time is asked for, bounded, and had again after a pause; what this machine refuses is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.toxiproxy.test_pulse import records

ORDINARY_FOR_S = "until = time.process_time() + 0.8\nwhile time.process_time() < until: pass\n"


def run(code: str) -> list[str]:
    code = "import os, time\nfrom chaoskit.processor import *\n" + code
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert not ended.stderr
    return ended.stdout.splitlines()


@pytest.fixture
def granted() -> bool:
    """Whether this machine gives real time to whoever asks."""
    code = "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(2))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_what_was_got_is_said(granted: bool) -> None:
    said = run(
        "print(scheduling())\nprint(claim_processor(MEASURER))\nyield_processor()\nprint(scheduling())"
    )
    assert said[0].startswith("nice ")
    assert said[1] == "SCHED_FIFO 2" if granted else said[1].startswith("nice ")
    assert said[2].startswith("nice ")


def test_one_gone_wrong_loses_it_and_has_it_again_when_it_asks(granted: bool) -> None:
    """Whatever this machine grants, a second without a pause ends in an ordinary process."""
    said = run(
        f"claim_processor(PROXY)\n{ORDINARY_FOR_S}print(scheduling())\nreclaim_processor(PROXY)\nprint(scheduling())"
    )
    assert said[0].startswith("nice ")
    assert said[1] == "SCHED_FIFO 1" if granted else said[1].startswith("nice ")


def test_borrowed_it_is_bounded_given_back_and_ends_nobody(granted: bool) -> None:
    said = run(
        "import resource, signal\n"
        "before = resource.getrlimit(resource.RLIMIT_RTTIME), signal.getsignal(signal.SIGXCPU)\n"
        "with borrowed_processor(CONDUCTOR) as again:\n"
        "    print(scheduling())\n"
        "    until = time.process_time() + 2.5\n"
        "    while time.process_time() < until: pass\n"
        "    print(scheduling())\n"
        "    again()\n"
        "    print(scheduling())\n"
        "print(scheduling())\n"
        "print(before == (resource.getrlimit(resource.RLIMIT_RTTIME), signal.getsignal(signal.SIGXCPU)))"
    )
    had = "SCHED_FIFO 1" if granted else said[3]
    assert said == [had, said[3], had, said[3], "True"]
    assert said[3].startswith("nice ")


@pytest.mark.parametrize("most_us", [50_000, 200_000])
def test_a_lower_limit_of_the_callers_stays_and_breaks_nothing(most_us: int) -> None:
    """As an administrator or a desktop sets it; who is not root may not raise it again."""
    said = run(
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_RTTIME, ({most_us}, {most_us}))\n"
        "if not os.getuid(): os.setuid(65534)\n"
        "with borrowed_processor(CONDUCTOR): print(resource.getrlimit(resource.RLIMIT_RTTIME))\n"
        "claim_processor(MEASURER)\n"
        "print(resource.getrlimit(resource.RLIMIT_RTTIME))"
    )
    assert said == [f"({min(100_000, most_us)}, {most_us})"] * 2


def test_no_other_thread_borrows_it() -> None:
    said = run(
        "import threading\n"
        "def borrow():\n"
        "    with borrowed_processor(CONDUCTOR) as again:\n"
        "        again()\n"
        "        print(scheduling())\n"
        "thread = threading.Thread(target=borrow); thread.start(); thread.join()"
    )
    assert said[0].startswith("nice ")


def test_a_child_does_not_have_it() -> None:
    said = run(
        "claim_processor(MEASURER)\npid = os.fork()\n"
        "if not pid: print(scheduling(), flush=True); os._exit(0)\nos.waitpid(pid, 0)"
    )
    assert said[0].startswith("nice ")


def test_measurers_go_before_the_proxy_that_carries_their_links() -> None:
    assert run("print(MEASURER > PROXY > 0)") == ["True"]


def test_a_proxy_that_tells_when_it_was_held_up_has_it(granted: bool, tmp_path: Path) -> None:
    path = tmp_path / "pulse.jsonl"
    command = [sys.executable, "-m", "chaoskit.toxiproxy", "--port", "0", "--pulse", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 30
            while not records(path):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert (records(path)[0]["scheduling"] == "SCHED_FIFO 1") is granted
            has = os.sched_getscheduler(process.pid) & ~os.SCHED_RESET_ON_FORK
            assert (has == os.SCHED_FIFO) is granted
        finally:
            process.send_signal(signal.SIGTERM)
