"""The faults of a standby keep the contract of all faults, on a real pair that is written to all the while."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chaoskit import registry
from chaoskit.engines import replication
from chaoskit.engines.member_settings import CannotSet
from chaoskit.engines.postgresql import PostgreSQL
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.lease import Lease
from chaoskit.model.member import ResponseFailed, Witness
from chaoskit.model.parameters import build
from tests.contracts.bench_estate import LINKS, Bench, system
from tests.contracts.postgresql_pair import Member, await_detached, role
from tests.contracts.responding import Context
from tests.contracts.test_faults import Case, inflict, named, not_seen, proven, there_and_back, undo_from_disk

STANDBY = "db-standby"
RECEIVE: Case = ("standby.receive-lag", STANDBY, {"lag": "600ms"})
REPLAY: Case = ("standby.replay-lag", STANDBY, {})
DRIFTS: list[Case] = [
    ("standby.drift", STANDBY, {"kind": kind})
    for kind in ("host-rules", "read-only", "synchronous", "library", "address")
]
ADDRESS = DRIFTS[-1]
LIMIT: Case = ("standby.drift", STANDBY, {"kind": "limit"})
NOT_SEEN_S = 1.0
"""How long a witness looks in vain here, where nothing was done."""


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@contextlib.contextmanager
def writing(bank: Bench) -> Iterator[Bench]:
    """Somebody goes on changing one row of the pair, so that old versions of it are swept away."""
    primary = bank.members["db"]
    primary.execute("CREATE TABLE IF NOT EXISTS hot AS SELECT 0 AS n")
    enough = threading.Event()

    def write() -> None:
        with primary.connect() as connection:
            while not enough.wait(0.002):
                try:
                    connection.execute("UPDATE hot SET n = n + 1")
                except psycopg.OperationalError:
                    return  # the test has killed it

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield bank
    finally:
        enough.set()
        writer.join()


@pytest.fixture
def written(bank: Bench) -> Iterator[Bench]:
    """A pair of its own that is written to."""
    with writing(bank):
        yield bank


@pytest.fixture
def whole(whole_bank: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The module's pair, written to, for tests that leave it whole."""
    monkeypatch.setattr("chaoskit.faults.standby_replay_lag._WITHIN_S", 5.0)
    monkeypatch.setattr("chaoskit.faults.standby_drift._WITHIN_S", NOT_SEEN_S)
    with writing(whole_bank):
        yield whole_bank


def test_a_limit_there_and_back(whole_bank: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes meanwhile: the primary is restarted, and whoever was logged in to it is not."""
    monkeypatch.setattr("chaoskit.faults.standby_drift._WITHIN_S", NOT_SEEN_S)
    before = files(whole_bank)

    async def main() -> None:
        await there_and_back(LIMIT, whole_bank)
        assert files(whole_bank) == before
        lease, witness, _ = await inflict(LIMIT, whole_bank)
        assert "max_connections is 100 on db-standby and 200 on db: the replay has stopped" in witness.how
        mend = build(registry.member("responses", "mend-standby"), {})
        context = Context(whole_bank)
        await mend.run([STANDBY], context)
        assert [kind for kind, _ in context.facts] == ["mended"]
        await not_seen(LIMIT, whole_bank)
        for _ in range(2):
            await undo_from_disk(lease, whole_bank)
        await PostgreSQL(whole_bank.direct("db"), role()).committed_write(10)

    run(main())
    assert files(whole_bank) == before


def files(bank: Bench) -> list[list[str]]:
    """What both members keep in their own files, and what they run with."""
    query = "SELECT name || '=' || setting FROM pg_settings WHERE name LIKE 'max\\_%' OR pending_restart ORDER BY 1"
    texts = [(member.data / "postgresql.auto.conf").read_text() for member in bank.members.values()]
    told = [[str(row[0]) for row in member.execute(query)] for member in bank.members.values()]
    return [[line for line in text.splitlines() if not line.startswith("#")] for text in texts] + told


def test_a_limit_whose_conductor_was_killed_is_taken_back_by_the_lease_on_disk(
    whole_bank: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaoskit.faults.standby_drift._WITHIN_S", NOT_SEEN_S)
    before = files(whole_bank)
    lease = killed_after_applying(LIMIT, whole_bank, tmp_path)
    assert files(whole_bank) != before
    for _ in range(2):
        run(undo_from_disk(lease, whole_bank))
        assert files(whole_bank) == before
    run(not_seen(LIMIT, whole_bank))


def test_an_undo_that_was_itself_cut_short_goes_on(
    whole_bank: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaoskit.faults.standby_drift._WITHIN_S", NOT_SEEN_S)
    before = files(whole_bank)

    async def main() -> None:
        lease, witness, begun = await inflict(LIMIT, whole_bank)
        proven(witness, begun)
        for restarts in (0, 1, 1):  # of the standby, the primary and the standby again: cut short before each
            left = restarts

            async def stop(service: str, whole: Any = Bench.stop) -> None:
                nonlocal left
                if not left:
                    raise EnvironmentBroken("killed here")
                left -= 1
                await whole(whole_bank, service)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(whole_bank, "stop", stop)
                with pytest.raises(EnvironmentBroken, match="killed here"):
                    await undo_from_disk(lease, whole_bank)
        await undo_from_disk(lease, whole_bank)

    run(main())
    assert files(whole_bank) == before


def test_limits_that_command_lines_give_cannot_drift(bench: Bench, database_template: Path) -> None:
    given = ("max_connections=50", "max_worker_processes=8", "max_locks_per_transaction=64")
    bench.start_pair(database_template, *given)
    with pytest.raises(CannotSet, match="come from a command line"):
        run(inflict(LIMIT, bench))


@pytest.mark.parametrize("case", [RECEIVE, REPLAY, *DRIFTS], ids=named)
def test_there_and_back(case: Case, whole: Bench) -> None:
    async def main() -> None:
        await there_and_back(case, whole)
        await PostgreSQL(whole.direct("db"), role()).committed_write(10)

    run(main())


def test_what_was_not_replayed_outlives_the_primary_and_delays_the_promotion(written: Bench) -> None:
    pair = replication.pair_of(STANDBY, written.plan.system)

    async def main() -> float:
        _, witness, begun = await inflict(REPLAY, written)
        proven(witness, begun)
        await asyncio.to_thread(written.members["db"].execute, _LAST)
        mark = await replication.mark(pair, written)
        while (await replication.lag(pair, written)).received_bytes < mark.at:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)
        await written.kill("db")
        asyncio.get_running_loop().call_later(1.0, written.members[STANDBY].execute, _END)
        promotion = await PostgreSQL(written.direct(STANDBY), role()).promote(20)
        return (promotion.left_recovery_ns - promotion.asked_ns) / 1e9

    assert run(main()) > 0.8  # it waited for the report to end
    assert written.members[STANDBY].execute("SELECT count(*) FROM last") == [(500,)]


def test_what_was_not_received_dies_with_the_primary(written: Bench) -> None:
    async def main() -> None:
        _, witness, begun = await inflict((RECEIVE[0], STANDBY, {"lag": "2s"}), written)
        proven(witness, begun)
        await asyncio.to_thread(written.members["db"].execute, _LAST)
        await written.enable("db-standby -> db", False)  # the line, in the instant of the kill
        await written.kill("db")
        await PostgreSQL(written.direct(STANDBY), role()).promote(20)

    run(main())
    assert written.members[STANDBY].execute("SELECT to_regclass('last')") == [(None,)]


_LAST = "CREATE TABLE last AS SELECT generate_series(1, 500)"
_END = (
    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{replication.REPORT}'"
)


def test_a_standby_that_nobody_writes_to_does_not_lag(
    whole_bank: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaoskit.faults.standby_replay_lag._WITHIN_S", 0.5)
    lease, witness, _ = run(inflict(REPLAY, whole_bank))
    assert not witness.seen
    assert "no conflict" in witness.how
    run(undo_from_disk(lease, whole_bank))


def test_a_line_that_was_broken_before_is_no_lag_of_ours(
    whole_bank: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaoskit.faults.standby_receive_lag._BEFORE_S", 0.3)

    async def main() -> None:
        await whole_bank.enable("db-standby -> db", False)
        lease, witness, _ = await inflict(RECEIVE, whole_bank)
        await whole_bank.enable("db-standby -> db", True)
        await undo_from_disk(lease, whole_bank)
        assert not witness.seen
        assert "before the fault either" in witness.how

    run(main())


def test_a_report_goes_on_when_its_conductor_was_killed_and_the_lease_on_disk_ends_it(
    whole: Bench, tmp_path: Path
) -> None:
    lease = killed_after_applying(REPLAY, whole, tmp_path)
    pair = replication.pair_of(STANDBY, whole.plan.system)
    whole.until(lambda: run(replication.in_conflict(pair, whole)) is not None)
    for _ in range(2):
        run(undo_from_disk(lease, whole))
    whole.until(lambda: run(replication.in_conflict(pair, whole)) is None)


def killed_after_applying(case: Case, bank: Bench, folder: Path) -> Lease:
    """What is on disk of a conductor that was killed when its fault had just been applied."""
    path = folder / "lease.json"
    order = {
        "system": bank.plan.system.model_dump_json(),
        "addresses": {name: [one.host, one.port] for name, one in bank.addresses.items()},
        "proxies": [bank.proxy.host, bank.proxy.port],
        "fault": case[0],
        "target": case[1],
        "params": case[2],
        "lease": str(path),
    }
    command = [sys.executable, "-m", "tests.contracts.standby_victim", json.dumps(order)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as conductor:
        assert conductor.stdout is not None
        assert conductor.stdin is not None
        while (said := conductor.stdout.readline()) != "applied\n":
            word, service = said.split()  # what a runtime's own processes do for it
            run({"stop": bank.stop, "start": bank.start}[word](service))
            conductor.stdin.write("done\n")
        conductor.kill()
    return Lease.model_validate_json(path.read_text())


@pytest.mark.parametrize("case", DRIFTS, ids=named)
def test_a_drift_outlives_its_conductor_and_the_lease_on_disk_gives_every_byte_back(
    case: Case, whole_bank: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaoskit.faults.standby_drift._WITHIN_S", NOT_SEEN_S)
    before = state(whole_bank)
    lease = killed_after_applying(case, whole_bank, tmp_path)
    assert state(whole_bank) != before
    for _ in range(2):
        run(undo_from_disk(lease, whole_bank))
        assert state(whole_bank) == before
    run(not_seen(case, whole_bank))


def state(bank: Bench) -> tuple[str, list[str], list[str]]:
    """The standby's own files: host rules word for word, settings without the server's remarks; and what lies on the
    way to it.
    """
    data = bank.members[STANDBY].data
    text = (data / "postgresql.auto.conf").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    toxics = [toxic.name for toxic in bank.proxy.api.proxy("web -> db-standby").toxics]
    return (data / "pg_hba.conf").read_text(), lines, toxics


def test_a_setting_of_the_command_line_cannot_drift(bank: Bench) -> None:
    async def main() -> None:
        await bank.kill(STANDBY)
        old = bank.members[STANDBY]
        await asyncio.to_thread(await_detached, old.data)
        (old.data / "postmaster.pid").unlink()
        start = Member.start, old.data, old.address, "default_transaction_read_only=off"
        bank._adopt(STANDBY, await asyncio.to_thread(*start))
        with pytest.raises(CannotSet, match="comes from its command line"):
            await inflict(("standby.drift", STANDBY, {"kind": "read-only"}), bank)

    run(main())


def test_a_drift_that_was_there_before_is_not_ours(whole_bank: Bench) -> None:
    async def main() -> None:
        lease, witness, begun = await inflict(DRIFTS[1], whole_bank)
        proven(witness, begun)
        again, second, _ = await inflict(DRIFTS[1], whole_bank)
        assert not second.seen
        assert "before the fault" in second.how
        for one in (again, lease):
            await undo_from_disk(one, whole_bank)

    run(main())


def test_a_standby_that_is_down_keeps_its_drift_and_that_is_told(bank: Bench) -> None:
    async def main() -> None:
        lease, _, _ = await inflict(DRIFTS[0], bank)
        await bank.kill(STANDBY)
        with pytest.raises(EnvironmentBroken, match="is down and its files keep"):
            await undo_from_disk(lease, bank)

    run(main())


def test_a_limit_is_taken_back_on_the_primary_and_the_standby_that_is_down_is_told(
    bank: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaoskit.faults.standby_drift._WITHIN_S", NOT_SEEN_S)
    primary = bank.members["db"]

    async def main() -> None:
        lease, _, _ = await inflict(LIMIT, bank)
        await bank.kill(STANDBY)
        for _ in range(2):
            with pytest.raises(
                EnvironmentBroken, match="db-standby is down: what its files say of max_connections"
            ):
                await undo_from_disk(lease, bank)
            assert primary.execute("SHOW max_connections") == [("100",)], "the primary goes back all the same"

    run(main())


def test_undoing_on_a_standby_that_is_down_is_nothing(written: Bench) -> None:
    async def main() -> None:
        lease, witness, begun = await inflict(REPLAY, written)
        proven(witness, begun)
        await written.kill(STANDBY)
        await undo_from_disk(lease, written)

    run(main())


@pytest.mark.parametrize("case", [RECEIVE, REPLAY, DRIFTS[0]], ids=named)
def test_only_a_standby_can_lag_or_drift(case: Case) -> None:
    fault = build(registry.member("faults", case[0]), case[2])
    with pytest.raises(ValueError, match="web is no standby of a database role \\(standbys: db-standby\\)"):
        fault.prepare("web", system(LINKS))
    assert fault.prepare(STANDBY, system(LINKS)) == ()


def test_an_address_that_nobody_has_cannot_be_stale() -> None:
    fault = build(registry.member("faults", "standby.drift"), ADDRESS[2])
    with pytest.raises(ValueError, match="no declared link of an application leads to db-standby"):
        fault.prepare(STANDBY, system(["web -> db", "db-standby -> db"]))
    assert fault.prepare(STANDBY, system(LINKS)) == ()


def test_a_line_that_is_cut_is_no_stale_address_to_be_put_right(whole_bank: Bench) -> None:
    mend = build(registry.member("responses", "mend-standby"), {})

    async def main() -> None:
        await whole_bank.enable("web -> db-standby", False)
        with pytest.raises(ResponseFailed, match="still drifts after the address"):
            await mend.run([STANDBY], Context(whole_bank))
        await whole_bank.enable("web -> db-standby", True)
        await not_seen(ADDRESS, whole_bank)

    run(main())


def test_a_log_that_comes_over_no_declared_link_cannot_be_late() -> None:
    fault = build(registry.member("faults", "standby.receive-lag"), {"lag": "1s"})
    with pytest.raises(ValueError, match="'db-standby -> db', which `links` does not declare"):
        fault.prepare(STANDBY, system(["web -> db"]))


@pytest.mark.parametrize("lag", ["499ms", "30s", "1500us"])
def test_a_lag_that_cannot_be_told_is_refused(lag: str) -> None:
    with pytest.raises(ValueError, match="from 500ms to 20000ms"):
        build(registry.member("faults", "standby.receive-lag"), {"lag": lag})


def test_a_record_that_was_held_up_before_the_fault_does_not_hide_the_lag(
    whole: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that took longer than the lag itself leaves what is usual as it is."""
    before = iter([2_000_000_000, 5_000_000, 6_000_000])
    measured = replication.takes_to_receive

    async def told(*about: Any) -> int | None:
        return next(before, None) or await measured(*about)

    monkeypatch.setattr(replication, "takes_to_receive", told)

    async def main() -> None:
        lease, witness, begun = await inflict(RECEIVE, whole)
        await undo_from_disk(lease, whole)
        proven(witness, begun)
        assert "has not received a record 486 ms old; 6 ms before the fault" in witness.how

    run(main())


def test_records_that_come_in_time_are_told_with_their_times(
    whole: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([5_000_000, 6_000_000, 7_000_000, 21_000_000, 22_000_000, 23_000_000])

    async def told(*_: Any) -> int:
        return next(times)

    monkeypatch.setattr(replication, "takes_to_receive", told)

    async def main() -> Witness:
        fault = build(registry.member("faults", RECEIVE[0]), RECEIVE[2])
        seen: Witness = await fault.witness(STANDBY, whole, await fault.baseline(STANDBY, whole))
        return seen

    witness = run(main())
    assert not witness.seen
    assert witness.how == "db-standby received its records after 21, 22, 23 ms; 6 ms before the fault"
