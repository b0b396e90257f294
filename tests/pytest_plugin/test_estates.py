"""The fixtures `estate` and `chaos_estate_factory` in sessions of their own: reused, reset, told of, and gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaoskit.runtimes import record as records
from chaoskit.runtimes.residue import residue
from tests.testing import shop

HEAD = """
import pytest

@pytest.fixture(scope="module")
def web(chaos_estate_factory):
    return chaos_estate_factory("system.yaml")

"""
GONE_WITHIN_S = 15.0  # what is left then has leaked; how fast it goes beside other tests says nothing


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the shop in it, and no settings of anybody else."""
    shop.write(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def start(place: Path, text: str, *arguments: str) -> subprocess.Popen[str]:
    (place / "test_shop.py").write_text(HEAD + text)
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=place,
        env={**os.environ, "CHAOSKIT_STATE_DIR": str(place / "state")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def said(place: Path, text: str, *arguments: str) -> str:
    process = start(place, text, *arguments)
    out, _ = process.communicate(timeout=200)
    runs = place / "state" / "runs"
    assert runs.is_dir(), out
    assert not list(runs.iterdir()), out
    return out


def test_one_estate_for_all_and_whole_again_after_each(place: Path) -> None:
    out = said(
        place,
        """
seen = set()

def test_leaves_it_frozen_and_fails(web):
    seen.add(web.folder)
    web.fault("process.freeze", on="web").begin()
    assert web.journey("visit", patience="300ms").attempt().ok

def test_finds_it_well(web):
    seen.add(web.folder)
    assert web.standing == ()
    assert web.journey("visit").attempt().good

@pytest.mark.estate("system.yaml")
def test_by_mark(estate, web):
    assert estate is web
    with estate.link("customers -> web").cut():
        assert not estate.journey("visit").attempt().ok

@pytest.mark.estate("system.yaml", seed=4)
def test_another_ask(estate, web):
    assert estate is not web

@pytest.mark.estate("system.yaml", vairant="x")
def test_mistaken_mark(estate):
    pass

def test_mistaken_link(web):
    web.link("web -> nobody")

def test_last(web):
    assert len(seen) == 1
    web.link("customers -> web").cut().begin()
""",
        "-p",
        "no:randomly",
    )
    assert "2 failed, 4 passed, 2 warnings, 1 error" in out
    assert "FaultLeftOn: shop: left on, and now undone: process.freeze on web" in out
    assert "FaultLeftOn: shop: left on at the end: link.cut on customers -> web" in out
    assert "no argument is called `vairant`; did you mean `variant`?" in out
    assert (
        "E       chaoskit.errors.InputError: no link is called 'web -> nobody'; links: customers -> web"
        in out
    )
    assert "asked.py" not in out, "the traceback ends in the test"


def test_a_warning_made_an_error_spares_no_estate_its_reset_and_none_its_end(place: Path) -> None:
    (place / "conftest.py").write_text(
        "import pathlib\n"
        "def pytest_unconfigure(config):\n"
        "    print('STILL THERE:', [one.name for one in pathlib.Path('state/runs').iterdir()])\n"
    )
    out = said(
        place,
        """
@pytest.fixture(scope="module")
def other(chaos_estate_factory):
    return chaos_estate_factory("system.yaml", seed=4)

def test_leaves_both(web, other):
    web.fault("process.freeze", on="web").begin()
    other.fault("process.freeze", on="web").begin()

def test_finds_both_well(web, other):
    assert (web.standing, other.standing) == ((), ())
    assert web.journey("visit").attempt().good
    assert other.journey("visit").attempt().good

def test_last(web, other):
    web.link("customers -> web").cut().begin()
""",
        "-p",
        "no:randomly",
        "-W",
        "error::chaoskit.pytest_plugin.estates.FaultLeftOn",
    )
    assert "3 passed, 2 errors" in out
    assert "STILL THERE: []" in out


def test_each_worker_has_its_own_in_any_order(place: Path) -> None:
    out = said(
        place,
        """
@pytest.mark.parametrize("number", range(6))
def test_kill(web, number):
    with web.fault("process.kill", on="web"):
        assert not web.journey("visit").attempt().ok
    assert web.journey("visit").until_good("20s")
""",
        "-n2",
        "-p",
        "xdist",
    )
    assert "6 passed" in out
    assert len(list((place / "reports").iterdir())) == 2


def test_one_that_does_not_come_back_is_replaced(place: Path) -> None:
    out = said(
        place,
        """
import pathlib

def test_spoils_it(web):
    web.journey("visit").attempt()
    pathlib.Path("tiny_web.py").rename("gone.py")
    web.fault("process.kill", on="web").begin()

def test_gets_a_new_one(web):
    pathlib.Path("gone.py").rename("tiny_web.py")
    assert web.journey("visit").attempt().ok
""",
        "-p",
        "no:randomly",
    )
    assert "2 passed, 1 warning" in out
    assert "FaultLeftOn: shop did not come back, so the next test gets a new one" in out


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_session_that_is_ended_leaves_nothing(place: Path, number: signal.Signals) -> None:
    process = start(
        place,
        """
def test_waits(web):
    import pathlib, time
    with web.fault("process.freeze", on="web"):
        pathlib.Path("broken").touch()
        time.sleep(60)
""",
    )
    try:
        until(lambda: (place / "broken").exists(), 60)
        (run,) = (place / "state" / "runs").iterdir()
        record = records.read_record(run)
        assert record is not None
        assert residue(record), "it runs"
        process.send_signal(number)
        process.wait(60)
    finally:
        process.kill()
        process.communicate()
    until(lambda: not residue(record) and not run.exists(), GONE_WITHIN_S)


def until(condition: object, within_s: float) -> None:
    """For what another process does and nothing announces."""
    deadline = time.monotonic() + within_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
