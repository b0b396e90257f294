"""The same drill has the same verdict on Docker: one that passes, one that misses its RTO, one that loses payments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import same_verdict
from benchmarks.same_verdict import Sample, differences
from chaoskit.runtimes.local.pg_install import wheel

FAILS = {
    "ledger-primary-crash": set[str](),
    "ledger-primary-crash-unwatched": {"transfer.rto"},
    "ledger-primary-crash-async": {"transfer.lost"},
}


@pytest.mark.docker
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "drill",
    [same_verdict.DRILLS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in same_verdict.DRILLS[1:])],
)
def test_each_once_on_docker(drill: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOSKIT_STATE_DIR", str(tmp_path / "state"))
    run = same_verdict.run_once(drill, "docker", 7)
    assert run.as_expected, run
    assert run.fault_ms is not None
    assert {name for name, outcome in run.verdicts if outcome != "pass"} == FAILS[drill]
    if drill == "ledger-primary-crash-unwatched":
        assert run.rta_s is not None
        assert 10 < run.rta_s[1] < 30, "missed by less than three times"
    told = [one.rpartition(", ")[2] for one in run.fidelity if one.startswith("ledger-db")]
    assert told == [f"PostgreSQL {wheel().version.rpartition('.')[0]}"] * 2, "as the local runtime has it"


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(3 * 3600)
def test_ten_times_on_each_runtime() -> None:
    done = subprocess.run(
        [sys.executable, same_verdict.__file__, "--runs", "10"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def sample(**verdicts: str) -> Sample:
    return Sample("pass", True, tuple(sorted(verdicts.items())), (1.0, 1.2), 0, 20.0, ())


def test_a_difference_is_told_with_its_numbers() -> None:
    alike = [("local", sample(a="pass", b="fail")), ("docker", sample(a="pass", b="fail"))]
    assert differences(alike) == []
    other = [*alike, ("docker", sample(a="fail", b="fail"))]
    assert differences(other) == ["a: 1 × pass on local, 1 × pass on docker, 1 × fail on docker"]
    assert differences([*alike, ("local", sample(a="pass"))]) == [
        "b: 1 × fail on local, 1 × fail on docker, 1 × not judged on local"
    ]


def test_the_table_has_a_median_and_a_spread() -> None:
    measured = ((1.5, 20.0), (1.1, 31.0), (4.0, None))
    rows = [Sample("pass", True, (), (upper - 0.2, upper), 0, fault, ()) for upper, fault in measured]
    row = same_verdict.row("crash", "docker", rows)
    assert row == ("crash", "docker", "3 pass", "1.50", "1.10 – 4.00", "0.20", "26 – 31", "0 – 0")
