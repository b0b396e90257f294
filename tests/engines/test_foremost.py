"""Real time for the thread that takes an instant: while inside, for nobody who is begun meanwhile, and given back."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from chaoskit.engines.foremost import foremost

SHOW = "import os; print(os.sched_getscheduler(0))"


def policy() -> int:
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK


@pytest.fixture
def granted() -> int:
    """The policy that this machine gives to whoever asks: real time needs a right."""
    before = policy()
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return before
    os.sched_setscheduler(0, before, os.sched_param(0))
    return os.SCHED_FIFO


def test_it_is_had_inside_and_given_back(granted: int) -> None:
    with foremost():
        assert policy() == granted
        with foremost():
            assert policy() == granted
        assert policy() == granted
    assert policy() == os.SCHED_OTHER


def test_a_policy_of_the_callers_own_is_given_back(granted: int) -> None:
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        with foremost():
            assert policy() in (granted, os.SCHED_BATCH)
        assert policy() == os.SCHED_BATCH
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def test_it_is_given_back_after_an_error() -> None:
    with pytest.raises(KeyError), foremost():
        raise KeyError
    assert policy() == os.SCHED_OTHER


def test_what_is_begun_inside_does_not_have_it() -> None:
    found: list[int] = []
    with foremost():
        told = subprocess.run([sys.executable, "-S", "-c", SHOW], capture_output=True, check=True, text=True)
        thread = threading.Thread(target=lambda: found.append(policy()))
        thread.start()
        thread.join()
    assert int(told.stdout) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER
    assert found == [os.SCHED_OTHER]


def test_without_the_right_to_it_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with foremost():
        assert policy() == os.SCHED_OTHER
    assert policy() == os.SCHED_OTHER
