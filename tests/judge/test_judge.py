"""The judge: composition, the vacuity guard, expectations, exit codes, second judgements."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.evidence import load_history
from chaoskit.judge import judge
from chaoskit.metrics import measure
from chaoskit.model.drill import Drill
from chaoskit.model.verdict import Result
from tests.histories.builder import BACK, END, KILL_LO, MS, PERIOD, ZERO, RunBuilder, S, drill, plan_for


def result_of(builder: RunBuilder, folder: Path, other: Drill | None = None) -> Result:
    history = load_history(builder.write(folder / "run"))
    return judge(history, measure(history), registry, other)


def built(**changes: Any) -> RunBuilder:
    return RunBuilder(plan=plan_for(drill(**changes))).crash()


def outcomes(result: Result) -> dict[str, str]:
    return {verdict.name: verdict.outcome for verdict in result.verdicts}


def reason_of(result: Result, name: str) -> str:
    return next(v.reason for v in result.verdicts if v.name == name)


class TestComposition:
    def test_pass(self, tmp_path: Path) -> None:
        result = result_of(built(), tmp_path)
        assert (result.outcome, result.as_expected, result.exit_code) == ("pass", True, 0)
        assert set(outcomes(result).values()) == {"pass"}
        assert result.machine_s == (4.10, 4.21)
        assert result.objectives_from == "plan.json"
        assert json.loads(result.model_dump_json())["exit-code"] == 0

    def test_fail(self, tmp_path: Path) -> None:
        result = result_of(built(objectives={"transfer": {"rto": "2s"}, "balance": {"rto": "30s"}}), tmp_path)
        assert (result.outcome, result.exit_code) == ("fail", 1)
        assert outcomes(result)["transfer.rto"] == "fail"
        assert result.reason == "transfer.rto: recovered after 4.10 – 4.21 s"

    def test_an_interval_on_both_sides_is_inconclusive(self, tmp_path: Path) -> None:
        result = result_of(built(objectives={"transfer": {"rto": "4150ms"}}), tmp_path)
        assert (result.outcome, result.exit_code) == ("unknown", 3)
        assert "probe faster than every 0.10 s" in reason_of(result, "transfer.rto")

    def test_fail_outranks_unknown(self, tmp_path: Path) -> None:
        asked = {"transfer": {"rto": "2s"}, "balance": {"rto": "4150ms"}}
        result = result_of(built(objectives=asked), tmp_path)
        assert outcomes(result)["balance.rto"] == "unknown"
        assert result.outcome == "fail"

    def test_what_was_not_exercised_is_unknown(self, tmp_path: Path) -> None:
        builder = built()
        unknown = {r["id"] for rs in builder.records.values() for r in rs if r.get("outcome") == "unknown"}
        for source in builder.records:
            builder.records[source] = [
                {**r, "outcome": "fail"} if r["id"] in unknown and r["r"] == "done" else r
                for r in builder.records[source]
            ]
        result = result_of(builder, tmp_path)
        assert outcomes(result)["nothing-in-doubt"] == "unknown"
        assert result.exit_code == 3

    def test_nothing_asked_is_unknown(self, tmp_path: Path) -> None:
        result = result_of(built(objectives={"transfer": {}}, checks=[]), tmp_path)
        assert (result.outcome, result.exit_code) == ("unknown", 3)

    def test_star_is_every_journey_that_the_load_drives(self, tmp_path: Path) -> None:
        result = result_of(built(objectives={"*": {"rto": "30s", "lost": 0}}), tmp_path)
        assert set(outcomes(result)) >= {"transfer.rto", "balance.rto", "transfer.lost"}
        assert "balance.lost" not in outcomes(result)

    def test_lost_on_a_journey_without_books_says_so(self, tmp_path: Path) -> None:
        result = result_of(built(objectives={"balance": {"lost": 0}}), tmp_path)
        assert "names no books" in reason_of(result, "balance.lost")
        assert result.outcome == "unknown"

    def test_other_objectives(self, tmp_path: Path) -> None:
        asked = {
            "transfer": {"minimum-service": "5s", "success": "75%", "rpo": "1s"},
            "balance": {"success": "99%"},
        }
        found = outcomes(result_of(built(objectives=asked), tmp_path))
        assert found["transfer.minimum-service"] == "pass"
        assert found["transfer.success"] == "pass"
        assert found["transfer.rpo"] == "pass"
        assert found["balance.success"] == "fail"

    def test_no_recovery_point_covers_what_was_asked_for_after_the_fault(self, tmp_path: Path) -> None:
        builder = built(objectives={"transfer": {"rpo": "1m"}})
        late = {
            r["key"]
            for r in builder.records["load"]
            if r["r"] == "intent" and r["journey"] == "transfer" and r["intended"] >= END - 2 * S
        }
        builder.postings = [one for one in builder.postings if one.key not in late]
        result = result_of(builder, tmp_path)
        assert outcomes(result)["transfer.rpo"] == "fail"
        assert "lost operations were asked for after the fault" in reason_of(result, "transfer.rpo")

    def test_a_share_that_was_missed_only_because_the_load_slept_is_unknown(self, tmp_path: Path) -> None:
        builder = built(objectives={"balance": {"success": "99%"}})
        load = builder.records["load"]
        bad = {one["id"] for one in load if one["r"] == "done" and one["outcome"] != "ok"}
        slept = [
            one for one in load if one["r"] == "intent" and one["id"] in bad and one["journey"] == "balance"
        ]
        for one in slept:
            load[load.index(one)] = {
                **{name: one[name] for name in ("id", "key", "journey", "attempt", "tap", "intended")},
                **{"r": "missed", "error": "measurer late"},
            }
        gone = {one["id"] for one in slept}
        builder.records["load"] = [one for one in load if one["r"] != "done" or one["id"] not in gone]
        result = result_of(builder, tmp_path)
        assert outcomes(result)["balance.success"] == "unknown"
        assert "the load slept through" in reason_of(result, "balance.success")
        assert result.outcome == "unknown"

    def test_a_check_that_raises_is_unknown_and_named(self, tmp_path: Path) -> None:
        class Broken:
            def judge(self, history: object, measurements: object) -> None:
                raise RuntimeError("no such column")

        history = load_history(built(checks=["theirs"]).write(tmp_path / "run"))
        fake = SimpleNamespace(member=lambda kind, name: Broken)
        result = judge(history, measure(history), fake)
        assert reason_of(result, "theirs") == "the check could not judge: RuntimeError: no such column"
        assert result.exit_code == 3

    def test_a_check_nobody_knows_is_unknown(self, tmp_path: Path) -> None:
        result = result_of(built(checks=["nothing-lots"]), tmp_path)
        assert "'nothing-lots' is no check; nearest: nothing-lost" in reason_of(result, "nothing-lots")


def lose(builder: RunBuilder) -> None:
    del builder.postings[10:13]


class TestLoss:
    def test_every_key_and_amount_is_listed(self, tmp_path: Path) -> None:
        builder = built()
        keys = [p.key for p in builder.postings[10:13]]
        lose(builder)
        result = result_of(builder, tmp_path)
        verdict = next(v for v in result.verdicts if v.name == "transfer.lost")
        assert verdict.outcome == "fail"
        assert verdict.reason == "3 of 498 acknowledged operations lost: 3.00 CNY"
        assert sorted(verdict.details) == sorted(f"{key} 1.00 CNY" for key in keys)
        assert verdict.events
        assert any("the sum of all balances is still exactly right" in f.title for f in result.findings)
        assert next(row for row in result.scorecard if row["journey"] == "transfer")["lost"] == "3"

    def test_so_many_may_be_lost(self, tmp_path: Path) -> None:
        builder = built(objectives={"transfer": {"lost": 3}}, checks=[])
        lose(builder)
        assert result_of(builder, tmp_path).outcome == "pass"


class TestExpect:
    def expected(self, *names: str, **changes: Any) -> RunBuilder:
        return built(expect={"fail": list(names)}, **changes)

    def test_exactly_what_was_named(self, tmp_path: Path) -> None:
        builder = self.expected("transfer.lost", checks=["books-balance"])
        lose(builder)
        result = result_of(builder, tmp_path)
        assert (result.outcome, result.as_expected, result.exit_code) == ("fail", True, 0)
        assert result.expected == "fail: transfer.lost"

    def test_it_passed_after_all(self, tmp_path: Path) -> None:
        result = result_of(self.expected("transfer.lost"), tmp_path)
        assert (result.outcome, result.as_expected, result.exit_code) == ("pass", False, 1)

    def test_something_else_failed_too(self, tmp_path: Path) -> None:
        builder = self.expected("transfer.lost")
        lose(builder)
        result = result_of(builder, tmp_path)
        assert (result.outcome, result.as_expected, result.exit_code) == ("fail", False, 1)

    def test_something_is_unknown(self, tmp_path: Path) -> None:
        asked = {"transfer": {"lost": 0}, "balance": {"rto": "4150ms"}}
        builder = self.expected("transfer.lost", objectives=asked, checks=[])
        lose(builder)
        result = result_of(builder, tmp_path)
        assert (result.outcome, result.as_expected, result.exit_code) == ("fail", False, 1)

    def test_a_void_run_is_never_as_expected(self, tmp_path: Path) -> None:
        builder = self.expected("transfer.lost", checks=[]).without("fault.witnessed")
        lose(builder)
        result = result_of(builder, tmp_path)
        assert (result.outcome, result.as_expected, result.exit_code) == ("unknown", False, 3)


class TestProxyRestarted:
    """A proxy of ours was replaced: what crossed it in that time says nothing about the system."""

    @staticmethod
    def restarted(lo: int, hi: int, *links: str) -> RunBuilder:
        builder = built()
        builder.event(hi, "proxy.restarted", network="bank", lo=lo, hi=hi, links=list(links), why="it hung")
        return builder

    def test_while_an_outage_is_timed_the_journey_is_unknown(self, tmp_path: Path) -> None:
        result = result_of(self.restarted(BACK - S, BACK - S // 2, "ledger -> db"), tmp_path)
        assert (result.outcome, result.exit_code) == ("unknown", 3)
        assert outcomes(result)["transfer.rto"] == "unknown"
        assert "a proxy of its links was replaced" in reason_of(result, "transfer.rto")
        assert any("started anew" in finding.title for finding in result.findings)

    def test_before_the_fault_it_is_harmless(self, tmp_path: Path) -> None:
        result = result_of(self.restarted(ZERO - 3 * S, ZERO - 2 * S, "ledger -> db"), tmp_path)
        assert (result.outcome, result.exit_code) == ("pass", 0)

    def test_on_links_that_the_journey_does_not_go_through_it_is_harmless(self, tmp_path: Path) -> None:
        result = result_of(self.restarted(BACK - S, BACK - S // 2, "reports -> warehouse"), tmp_path)
        assert (result.outcome, result.exit_code) == ("pass", 0)


class TestProxyHeldUp:
    """Our proxy was stopped or starved and went on: it made late, or lost, what a well one would have carried."""

    @staticmethod
    def held(lo: int, hi: int | None, *links: str, seen: int | None = None) -> RunBuilder:
        builder = built()
        told = {"lo": lo, "hi": hi, "links": list(links or ("ledger -> db",)), "why": "it was stopped"}
        builder.event(seen or hi or END, "proxy.held-up", **told)
        return builder

    def test_longer_than_a_period_while_an_outage_is_timed_the_journey_is_unknown(
        self, tmp_path: Path
    ) -> None:
        result = result_of(self.held(BACK - 2 * S, BACK - S), tmp_path)
        assert (result.outcome, result.exit_code) == ("unknown", 3)
        assert outcomes(result)["transfer.rto"] == "unknown"
        reason = reason_of(result, "transfer.rto")
        assert (
            "held up for 1000 ms, longer than the probes' period of 100 ms (it was stopped; event " in reason
        )

    @pytest.mark.parametrize(
        ("lo", "hi", "link"),
        [
            (ZERO - 3 * S, ZERO - 2 * S, "ledger -> db"),
            (BACK - S, BACK - S + PERIOD // 2, "ledger -> db"),
            (BACK + 2 * S, BACK + 3 * S, "ledger -> db"),
            (BACK - 2 * S, BACK - S, "reports -> warehouse"),
        ],
        ids=[
            "before the fault",
            "shorter than a period",
            "while it holds, and nothing is bad",
            "other links",
        ],
    )
    def test_where_it_decides_nothing_it_is_harmless(
        self, lo: int, hi: int, link: str, tmp_path: Path
    ) -> None:
        result = result_of(self.held(lo, hi, link), tmp_path)
        assert (result.outcome, result.exit_code) == ("pass", 0)

    def test_one_that_never_went_on_lasted_to_the_end(self, tmp_path: Path) -> None:
        result = result_of(self.held(BACK - S, None), tmp_path)
        assert outcomes(result)["transfer.rto"] == "unknown"
        assert any("was silent" in finding.title for finding in result.findings)

    def test_one_that_went_on_lasted_as_long_as_it_says_then(self, tmp_path: Path) -> None:
        """It was noticed while it was stopped, before the fault, and was well again by then."""
        builder = self.held(ZERO - 9 * S, None, seen=ZERO - 6 * S)
        told = {"lo": ZERO - 9 * S, "hi": ZERO - 5 * S, "links": ["ledger -> db"], "why": "it was stopped"}
        builder.event(ZERO - 5 * S, "proxy.held-up", **told)
        result = result_of(builder, tmp_path)
        assert (result.outcome, result.exit_code) == ("pass", 0)

    def test_one_that_never_said_how_long_is_not_settled_by_a_later_one(self, tmp_path: Path) -> None:
        """As when the disk to which it says so was full for a while."""
        builder = self.held(ZERO - 9 * S, None, seen=ZERO - 6 * S)
        later = {
            "lo": ZERO - 2 * S,
            "hi": ZERO - 2 * S + 30 * MS,
            "links": ["ledger -> db"],
            "why": "it was stopped",
        }
        builder.event(ZERO - S, "proxy.held-up", **later)
        assert outcomes(result_of(builder, tmp_path))["transfer.rto"] == "unknown"

    def test_many_that_are_short_and_make_the_end_of_the_outage_bad(self, tmp_path: Path) -> None:
        """None is longer than a period; of the last bad probes' time they are more than a measurer may be late by."""
        builder = built()
        for at in range(KILL_LO - S, BACK + S, 100 * MS):
            told = {"lo": at, "hi": at + 90 * MS, "links": ["ledger -> db"], "why": "it had no processor"}
            builder.event(at + 90 * MS, "proxy.held-up", **told)
        result = result_of(builder, tmp_path)
        assert outcomes(result)["transfer.rto"] == "unknown"
        assert "held up for more than 20% of their limit" in reason_of(result, "transfer.rto")

    def test_success_that_is_missed_only_by_what_it_held_up_is_unknown(self, tmp_path: Path) -> None:
        def result(proxy: bool) -> Result:
            builder = built(objectives={"*": {"success": "99.9%"}})
            if proxy:
                told = {"links": ["ledger -> db"], "why": "it was stopped"}
                builder.event(BACK + S, "proxy.held-up", lo=KILL_LO - S, hi=BACK + S, **told)
            return result_of(builder, tmp_path / str(proxy))

        assert outcomes(result(False))["transfer.success"] == "fail"
        held = result(True)
        assert outcomes(held)["transfer.success"] == "unknown"
        assert "were bad while the proxy of its links was held up" in reason_of(held, "transfer.success")


class TestLostThroughAProxy:
    """Replication goes over our links: what a proxy that was held up kept from the standby is not the system's loss."""

    @staticmethod
    def run(folder: Path, lo: int, hi: int, lost_at: int, until: int = KILL_LO) -> Result:
        """Everything that was asked for from `lost_at` to `until` is lost: by default a tail, as lag leaves it."""
        builder = built(objectives={"transfer": {"lost": 0, "rpo": "10ms"}}, checks=["nothing-lost"])
        keys = {
            r["key"]
            for journal in builder.records.values()
            for r in journal
            if r["r"] == "intent" and r["journey"] == "transfer" and lost_at <= r["intended"] <= until
        }
        assert keys
        builder.postings = [one for one in builder.postings if one.key not in keys]
        told = {"links": ["standby -> db"], "why": "it was stopped"}
        builder.event(hi, "proxy.held-up", lo=lo, hi=hi, **told)
        return result_of(builder, folder)

    @pytest.mark.parametrize(
        ("lo", "hi"),
        [(ZERO - S, ZERO), (ZERO - S, KILL_LO + S), (ZERO - S, ZERO - 450 * MS)],
        ids=["until the fault", "across it", "a little before"],
    )
    def test_what_was_acknowledged_while_it_was_held_up_is_in_doubt(
        self, lo: int, hi: int, tmp_path: Path
    ) -> None:
        result = self.run(tmp_path, lo, hi, ZERO - 500 * MS)
        found = outcomes(result)
        assert [found[name] for name in ("transfer.lost", "transfer.rpo", "nothing-lost")] == ["unknown"] * 3
        assert "may not have reached a standby through it" in reason_of(result, "transfer.lost")

    @pytest.mark.parametrize(
        ("lo", "hi", "lost_at"),
        [
            (ZERO - S, ZERO, ZERO - 2 * S),
            (ZERO - 3 * S, ZERO - 2500 * MS, ZERO - 500 * MS),
            (ZERO - 60 * MS, ZERO, ZERO - 50 * MS),
        ],
        ids=["acknowledged before", "over for longer than it lasted", "no longer than a period"],
    )
    def test_anything_else_is_lost(self, lo: int, hi: int, lost_at: int, tmp_path: Path) -> None:
        found = outcomes(self.run(tmp_path, lo, hi, lost_at))
        assert [found[name] for name in ("transfer.lost", "transfer.rpo", "nothing-lost")] == ["fail"] * 3

    @pytest.mark.parametrize(
        ("lo", "hi"),
        [(ZERO - S, ZERO), (ZERO - S, ZERO + 60 * S)],
        ids=["until the fault", "to the end of the run"],
    )
    def test_what_the_survivor_took_itself_is_lost(self, lo: int, hi: int, tmp_path: Path) -> None:
        found = outcomes(self.run(tmp_path, lo, hi, ZERO + 4 * S, ZERO + 4 * S))
        assert [found[name] for name in ("transfer.lost", "nothing-lost")] == ["fail"] * 2

    def test_what_is_in_a_hole_is_lost(self, tmp_path: Path) -> None:
        at = ZERO - 500 * MS
        result = self.run(tmp_path, ZERO - S, ZERO, at, at)
        found = outcomes(result)
        assert [found[name] for name in ("transfer.lost", "transfer.rpo", "nothing-lost")] == ["fail"] * 3
        assert "cannot be lag" in reason_of(result, "nothing-lost")


def silence_a_link(builder: RunBuilder) -> None:
    builder.events = [
        (
            t,
            kind,
            {"links": {**data["links"], "ledger -> standby": [0, 0]}} if kind == "link.traffic" else data,
        )
        for t, kind, data in builder.events
    ]


def unused_fault(builder: RunBuilder) -> None:
    """Nobody was there: no operation within a limit of the kill."""
    near = {
        r["id"] for rs in builder.records.values() for r in rs if abs(r.get("intended", 0) - KILL_LO) < 3 * S
    }
    for source, records in builder.records.items():
        builder.records[source] = [r for r in records if r["id"] not in near]


def journey_without_ok(builder: RunBuilder) -> None:
    balance = {r["id"] for r in builder.records["load"] if r["r"] == "intent" and r["journey"] == "balance"}
    for record in builder.records["load"]:
        if record["r"] == "done" and record["id"] in balance:
            record["outcome"] = "fail"


def steady_failed(builder: RunBuilder) -> None:
    builder.without("steady.ok")
    builder.event(ZERO - 20 * MS, "steady.failed", at="before", journeys={}, reason="transfer: 90 % good")


def suspended(builder: RunBuilder) -> None:
    for _, kind, data in builder.events:
        if kind == "run.end":
            data["suspended_ns"] = 7 * S


def broken(builder: RunBuilder) -> None:
    for _, kind, data in builder.events:
        if kind == "run.end":
            data.update(ended="broken", reason="the load ended by itself")


def fault_failed(builder: RunBuilder) -> None:
    builder.without("fault.begin", "fault.applied", "fault.witnessed")
    builder.event(KILL_LO, "fault.failed", step="crash", target="db", error="no such process")


VOID: list[tuple[Callable[[RunBuilder], object], str]] = [
    (lambda b: b.without("fault.witnessed"), "witnessed by nothing but its injector"),
    (lambda b: b.without("fault.begin", "fault.witnessed"), "process.kill on db (step crash) never began"),
    (fault_failed, "process.kill on db (step crash) failed: no such process"),
    (unused_fault, "was not exercised"),
    (silence_a_link, "declared links carried no traffic in the steady phase: ledger -> standby"),
    (lambda b: b.without("link.traffic"), "never recorded"),
    (
        lambda b: b.event(END, "link.bypassed", direct={"gateway -> ledger": 512}),
        "bypassed once the faults had begun, so that a fault on them spared some traffic: gateway -> ledger (512",
    ),
    (journey_without_ok, "the journey balance had not one acknowledged operation"),
    (steady_failed, "no steady state before the first fault: transfer: 90 % good"),
    (lambda b: b.without("steady.ok"), "the steady state before the first fault was never reached"),
    (lambda b: b.without("timeline.zero"), "the timeline never began"),
    (suspended, "the machine was suspended for 7.0 s"),
    (broken, "the environment broke: the load ended by itself"),
    (
        lambda b: b.event(END, "conductor.late", since=ZERO, late_ns=2 * S),
        "the conductor itself was held up for 2.0 s",
    ),
    (
        lambda b: b.event(END, "events.lost", count=4, why="the disk is full"),
        "4 events are missing: the disk is full",
    ),
]


@pytest.mark.parametrize(("change", "words"), VOID, ids=[words[:40] for _, words in VOID])
def test_a_vacuous_run_is_unknown_in_all(
    change: Callable[[RunBuilder], object], words: str, tmp_path: Path
) -> None:
    builder = built()
    change(builder)
    result = result_of(builder, tmp_path)
    assert (result.outcome, result.exit_code, result.as_expected) == ("unknown", 3, False)
    assert set(outcomes(result).values()) == {"unknown"}
    assert words in " ".join([result.reason, *(f.title for f in result.findings)])


class TestEnding:
    def ended(self, ended: str, reason: str = "why") -> RunBuilder:
        builder = built().without("run.end")
        builder.event(END + 2 * S, "run.end", ended=ended, reason=reason, suspended_ns=5)
        return builder

    def test_aborted(self, tmp_path: Path) -> None:
        result = result_of(self.ended("aborted", "success < 1% for 1m"), tmp_path)
        assert (result.outcome, result.exit_code) == ("aborted", 4)
        assert result.reason == "aborted: success < 1% for 1m"
        assert set(outcomes(result).values()) == {"unknown"}

    def test_interrupted(self, tmp_path: Path) -> None:
        result = result_of(self.ended("interrupted"), tmp_path)
        assert (result.outcome, result.exit_code) == ("aborted", 130)

    def test_a_step_that_waited_in_vain(self, tmp_path: Path) -> None:
        builder = self.ended("timeout", "promote: db was not found down within 2m")
        result = result_of(builder.without("response.begin", "response.done"), tmp_path)
        assert result.outcome == "unknown"
        assert "planned responses never began: promote" in reason_of(result, "timeline")

    def test_a_response_that_neither_ended_nor_failed_is_no_pass(self, tmp_path: Path) -> None:
        result = result_of(self.ended("complete", "deadline").without("response.done"), tmp_path)
        assert result.outcome == "unknown"
        assert reason_of(result, "timeline") == "the response promote never ended"

    def test_a_probe_that_never_looked_leaves_the_run_unknown(self, tmp_path: Path) -> None:
        """The deadline came before it had looked everywhere: what its check would have judged is not there."""
        for number, seen in enumerate((("standby", "db"), ("standby",), ())):
            builder = built()
            last = builder.plan.steps[-1]
            watch = {"id": "watch", "kind": "probe", "name": "writers", "on": ("standby", "db")}
            step = last.model_copy(update={**watch, "when": None, "volley": 9})
            builder.plan = builder.plan.model_copy(update={"steps": (*builder.plan.steps, step)})
            for target in seen:
                looked = {"step": "watch", "name": "writers", "target": target, "ok": True, "detail": ""}
                builder.event(END - S, "probe.looked", begun=ZERO, found=[], **looked)
            result = result_of(builder, tmp_path / str(number))
            assert result.outcome == ("pass" if len(seen) == 2 else "unknown")
            if len(seen) == 1:
                assert "planned probes never looked: watch at db" in reason_of(result, "timeline")

    def test_without_its_response_it_fails_and_is_not_void(self, tmp_path: Path) -> None:
        """The control: the recovery left out must go red by the objective."""
        builder = RunBuilder(plan=plan_for(drill(objectives={"transfer": {"rto": "6s"}}, checks=[])))
        builder.crash(good=lambda t: t < KILL_LO)
        builder.without("steady.ok", "response.begin", "response.done")
        builder.event(ZERO - 20 * MS, "steady.ok", at="before", journeys={})
        result = result_of(builder, tmp_path)
        assert outcomes(result)["transfer.rto"] == "fail"
        assert (result.outcome, result.exit_code) == ("fail", 1)
        assert result.machine_s is None
        assert next(r for r in result.scorecard if r["journey"] == "transfer")["RTA (bounds)"] == "> 11.90 s"

    def test_censored_before_the_objective_is_unknown(self, tmp_path: Path) -> None:
        builder = RunBuilder(plan=plan_for(drill(objectives={"transfer": {"rto": "5m"}}, checks=[])))
        builder.crash(good=lambda t: t < KILL_LO)
        result = result_of(builder, tmp_path)
        assert outcomes(result)["transfer.rto"] == "unknown"
        assert "let the drill run longer" in reason_of(result, "transfer.rto")

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [
            ("transfer: 0.00% good, 99% wanted", True),
            ("transfer: 0.00% good, 99% wanted; balance: p99 900.0 ms, at most 400ms wanted", False),
        ],
    )
    def test_one_that_never_recovered_excuses_no_other_that_is_not_steady(
        self, tmp_path: Path, reason: str, expected: bool
    ) -> None:
        asked = {"transfer": {"rto": "6s"}, "balance": {"rto": "30s"}}
        made = plan_for(drill(objectives=asked, checks=[], expect={"fail": ["transfer.rto"]}))
        builder = RunBuilder(plan=made)
        for source in ("load", "prober"):
            step = 7 * MS if source == "prober" else 0
            builder.arrivals(source, "transfer", ZERO - 6 * S + step, END, PERIOD, lambda t: t < KILL_LO)
            builder.arrivals(source, "balance", ZERO - 6 * S + step, END, PERIOD)
        builder.usual_events()
        builder.events = [e for e in builder.events if e[2].get("at") != "after"]
        builder.event(END - 10 * MS, "steady.failed", at="after", journeys={}, reason=reason)
        result = result_of(builder, tmp_path)
        assert outcomes(result)["transfer.rto"] == "fail"
        assert outcomes(result)["balance.rto"] == "pass"
        assert result.as_expected == expected, result.reason

    def test_not_steady_at_the_end_is_unknown(self, tmp_path: Path) -> None:
        builder = built()
        builder.events = [e for e in builder.events if e[2].get("at") != "after"]
        builder.event(END - 10 * MS, "steady.failed", at="after", journeys={}, reason="transfer: p99 400 ms")
        result = result_of(builder, tmp_path)
        assert reason_of(result, "steady-state").endswith("did not hold at the end: transfer: p99 400 ms")
        assert result.outcome == "unknown"

    @pytest.mark.parametrize(("waited", "told"), [(0, False), (3_200_000_000, True), ("rubbish", False)])
    def test_steady_late_at_the_end_passes_and_is_told(
        self, waited: object, told: bool, tmp_path: Path
    ) -> None:
        builder = built()
        builder.event(END - 10 * MS, "steady.ok", at="after", journeys={}, waited_ns=waited)
        result = result_of(builder, tmp_path)
        said = "the steady state held again only 3.2 s after every journey had held its recovery"
        assert (result.outcome, said in result.notes) == ("pass", told)

    @pytest.mark.parametrize(
        "asked", [{"*": {"lost": 0}}, {"transfer": {"lost": 0}, "balance": {"rto": "30s"}}]
    )
    def test_never_recovered_is_unknown_where_nobody_asked_for_recovery(
        self, asked: dict[str, Any], tmp_path: Path
    ) -> None:
        builder = RunBuilder(plan=plan_for(drill(objectives=asked, checks=[])))
        builder.crash(good=lambda t: t < KILL_LO)
        builder.events = [e for e in builder.events if e[2].get("at") != "after"]
        result = result_of(builder, tmp_path)
        assert outcomes(result)["transfer.lost"] == "pass"
        assert outcomes(result)["steady-state"] == "unknown"
        assert (result.outcome, result.exit_code) == ("unknown", 3)

    def test_a_response_that_failed_is_unknown(self, tmp_path: Path) -> None:
        builder = built().without("response.done")
        builder.event(ZERO + S, "response.failed", step="promote", error="the standby hangs in a commit")
        result = result_of(builder, tmp_path)
        assert reason_of(result, "timeline") == "the response promote failed: the standby hangs in a commit"
        assert (result.outcome, result.exit_code) == ("unknown", 3)

    def test_a_recovery_from_before_anything_was_broken_is_in_no_number(self, tmp_path: Path) -> None:
        builder = built()
        early = [(t, k, d) if k != "response.begin" else (ZERO - 2 * S, k, d) for t, k, d in builder.events]
        assert early != builder.events
        builder.events = early
        result = result_of(builder, tmp_path)
        assert "the response promote began" in result.reason
        assert "before anything was broken" in result.reason
        assert (result.outcome, result.exit_code) == ("unknown", 3)

    def test_without_a_fault_nothing_is_judged(self, tmp_path: Path) -> None:
        asked = {"timeline": [{"at": "0s", "respond": "restart-service", "on": ["app"], "id": "promote"}]}
        builder = built(**asked, objectives={"transfer": {"lost": 0}}, checks=["books-balance"])
        result = result_of(builder.without("fault.begin", "fault.applied", "fault.witnessed"), tmp_path)
        assert set(outcomes(result).values()) == {"unknown"}
        assert (result.reason, result.exit_code) == ("nothing was broken: the timeline has no fault", 3)


class TestPeople:
    def decided(self, takes: int, slept: int, at: int = ZERO + 705 * MS, **changes: Any) -> RunBuilder:
        builder = built(**changes)
        about = {"step": "promote", "role": "duty-manager", "takes_ns": takes}
        builder.event(at, "decision.begin", **about)
        builder.event(at + slept, "decision.end", slept_ns=slept, **about)
        return builder

    def test_the_objective_is_judged_on_machine_and_people(self, tmp_path: Path) -> None:
        result = result_of(self.decided(120 * S, 0, objectives={"transfer": {"rto": "2m"}}), tmp_path)
        assert outcomes(result)["transfer.rto"] == "fail"
        assert reason_of(result, "transfer.rto") == (
            "recovered after 124.10 – 124.21 s (machine 4.10 – 4.21 s and people 2m modelled)"
        )
        assert result.modelled_s == 120.0
        assert result.machine_s == (4.10, 4.21)
        assert any("over the machine's outage only" in note for note in result.notes)
        assert any(f.title == "people take 97 % of the recovery" for f in result.findings)

    def test_lived_time_is_not_counted_twice(self, tmp_path: Path) -> None:
        result = result_of(self.decided(S // 2, S // 2), tmp_path)
        assert result.modelled_s == 0.0
        assert not any("machine's outage only" in note for note in result.notes)

    def test_a_decision_after_the_recovery_is_not_on_its_path(self, tmp_path: Path) -> None:
        result = result_of(self.decided(600 * S, 0, at=BACK + 2 * S), tmp_path)
        assert result.outcome == "pass"
        assert result.modelled_s == 0.0


class TestFindings:
    def titles(self, builder: RunBuilder, folder: Path) -> list[str]:
        return [finding.title for finding in result_of(builder, folder).findings]

    def test_detection_took_most_of_the_outage(self, tmp_path: Path) -> None:
        builder = built().without("detect.alert")
        about = {"step": "promote", "service": "db", "first_miss": ZERO + S, "misses": 3}
        builder.event(ZERO + 3 * S, "detect.alert", period_ns=200 * MS, **about)
        assert "detection took 72 % of the outage" in self.titles(builder, tmp_path)

    @pytest.mark.parametrize("blip", [False, True], ids=["nobody felt it", "felt for an instant"])
    @pytest.mark.parametrize(("alert", "share"), [(ZERO + S, None), (ZERO + 3 * S, "72 %")])
    def test_detection_is_counted_from_what_started_the_outage(
        self, tmp_path: Path, blip: bool, alert: int, share: str | None
    ) -> None:
        """Something was laid five seconds before the crash, and customers may have felt that for an instant."""
        laid = ZERO - 5 * S
        builder = RunBuilder().crash(
            lambda t: not (KILL_LO <= t < BACK or (blip and laid <= t < laid + 200 * MS))
        )
        builder.without("detect.alert")
        about = {"step": "drift", "name": "standby.drift", "target": "standby"}
        builder.event(laid, "fault.begin", lo=laid, **about)
        builder.event(laid + MS, "fault.witnessed", hi=laid + MS, how="it says so", **about)
        for index, (_, kind, data) in enumerate(builder.events):
            if kind == "timeline.zero":
                builder.events[index] = (laid - MS, kind, data)
        told = {"step": "promote", "service": "db", "first_miss": ZERO + S, "misses": 3}
        builder.event(alert, "detect.alert", period_ns=200 * MS, **told)
        found = [one for one in result_of(builder, tmp_path).findings if "detection took" in one.title]
        assert [one.title for one in found] == ([f"detection took {share} of the outage"] if share else [])
        assert all("after process.kill on db; " in one.detail for one in found)

    def test_a_crash_with_its_log(self, tmp_path: Path) -> None:
        builder = built()
        builder.event(
            ZERO + 2 * S, "service.exit", service="ledger", status="exit 1", log_tail=["Traceback", "boom"]
        )
        result = result_of(builder, tmp_path)
        (found,) = (f for f in result.findings if f.title.startswith("ledger ended unasked: exit 1"))
        assert found.detail == "Traceback\nboom"

    def test_split_brain(self, tmp_path: Path) -> None:
        builder = RunBuilder()
        builder.members["db"] = {"writable": True, "in_recovery": False, "identical": True}
        builder.crash()
        result = result_of(builder, tmp_path)
        assert result.findings[0].title.startswith("split brain: db and standby both accept writes")
        assert outcomes(result)["transfer.lost"] == "unknown"
        assert outcomes(result)["transfer.rto"] == "pass"
        assert result.exit_code == 3

    def test_a_response_that_failed(self, tmp_path: Path) -> None:
        builder = built().without("response.done")
        builder.event(ZERO + S, "response.failed", step="promote", error="the standby hangs in a commit")
        assert any("the response promote failed" in title for title in self.titles(builder, tmp_path))

    def test_one_journey_later_than_another(self, tmp_path: Path) -> None:
        builder = RunBuilder()
        builder.arrivals(
            "load", "balance", ZERO - 6 * S, END, 100 * MS, lambda t: not KILL_LO <= t < ZERO + S
        )
        builder.arrivals(
            "prober", "balance", ZERO - 6 * S, END, PERIOD, lambda t: not KILL_LO <= t < ZERO + S
        )
        builder.arrivals("load", "transfer", ZERO - 6 * S, END, 50 * MS)
        builder.arrivals("prober", "transfer", ZERO - 6 * S, END, PERIOD)
        builder.usual_events()
        assert "transfer recovered later than balance" in self.titles(builder, tmp_path)

    def test_many_that_were_never_sent(self, tmp_path: Path) -> None:
        builder = built()
        for n in range(100):
            builder.operation("load", "balance", ZERO + 5 * S + n * MS, outcome="missed")
        assert any(title.endswith("% of balance was never sent") for title in self.titles(builder, tmp_path))

    def test_acknowledged_after_the_fault_and_lost(self, tmp_path: Path) -> None:
        builder = built()
        builder.operation("load", "transfer", ZERO + 2 * S, outcome="ok", posted=False)
        assert "1 operations were acknowledged after the fault and are lost" in self.titles(builder, tmp_path)

    @pytest.mark.parametrize(
        ("fault", "why"),
        [
            ("process.kill", "Something that was no longer the primary went on acknowledging."),
            ("attack.ransomware", "What somebody damages, the primary itself may have acknowledged."),
            ("mistake.wrong-command", "What somebody damages, the primary itself may have acknowledged."),
        ],
    )
    def test_lost_to_an_attack_is_no_sign_of_a_second_primary(
        self, tmp_path: Path, fault: str, why: str
    ) -> None:
        builder = built()
        builder.operation("load", "transfer", ZERO + 2 * S, outcome="ok", posted=False)
        history = load_history(builder.write(tmp_path / "run"))
        seen = measure(history)
        hit = tuple(one.model_copy(update={"name": fault}) for one in seen.faults)
        assert hit
        found = judge(history, seen.model_copy(update={"faults": hit}), registry).findings
        (one,) = (each for each in found if "acknowledged after the fault" in each.title)
        assert one.detail.startswith(why + " First: ")


PERIOD = 100 * MS


class TestSecondJudgement:
    def test_other_objectives_name_both(self, tmp_path: Path) -> None:
        stricter = drill(drill="stricter", objectives={"transfer": {"rto": "1s"}}, checks=[])
        result = result_of(built(), tmp_path, stricter)
        assert result.objectives_from == "stricter, instead of plan.json (primary-crash)"
        assert outcomes(result) == {"transfer.rto": "fail"}
        assert result.drill == "primary-crash"

    def test_a_journey_that_was_not_driven_is_unknown(self, tmp_path: Path) -> None:
        other = drill(objectives={"withdrawal": {"rto": "1s"}}, checks=[], load={"withdrawal": "1/s"})
        result = result_of(built(), tmp_path, other)
        assert reason_of(result, "withdrawal.rto") == "the journey was not probed in this run"

    def test_the_same_history_gives_the_same_result(self, tmp_path: Path) -> None:
        folder = built().write(tmp_path / "run")
        first, second = (
            judge(history, measure(history), registry)
            for history in (load_history(folder), load_history(folder))
        )
        assert first == second


def test_the_scorecard_reads_like_the_design(tmp_path: Path) -> None:
    result = result_of(
        built(objectives={"transfer": {"rto": "5m", "lost": 0}, "balance": {"rto": "3m"}}), tmp_path
    )
    assert result.scorecard == (
        {
            "journey": "transfer",
            "good": "75.58 %",
            "RTA (bounds)": "4.10 – 4.21 s",
            "RTO": "5m",
            "lost": "0",
            "in doubt": "0",
            "verdict": "pass",
        },
        {
            "journey": "balance",
            "good": "75.88 %",
            "RTA (bounds)": "4.10 – 4.21 s",
            "RTO": "3m",
            "lost": "–",
            "in doubt": "–",
            "verdict": "pass",
        },
    )


def test_fault_that_no_customer_noticed_is_worth_a_look(tmp_path: Path) -> None:
    """It may be that the system bears it, or that no journey uses what was broken."""
    title = "no probe noticed any fault"
    unhurt = result_of(RunBuilder().crash(good=lambda t: True), tmp_path / "unhurt")
    assert any(found.title == title for found in unhurt.findings)
    hurt = result_of(RunBuilder().crash(), tmp_path / "hurt")
    assert all(found.title != title for found in hurt.findings)
