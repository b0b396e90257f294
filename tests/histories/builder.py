"""Builds run folders as a run leaves them: journals, chained events, books, seal; each can be changed before."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from chaoskit.conductor.journal import JournalWriter
from chaoskit.evidence.chain import ChainWriter
from chaoskit.evidence.seal import seal_files
from chaoskit.model.drill import Drill
from chaoskit.model.plan import Criterion, Place, Plan, PlannedStep, ProbeSchedule
from chaoskit.model.system import System
from chaoskit.quantity import Duration

MS = 10**6
S = 10**9
MACHINE = {"cpus": 2, "processor": "x86_64"}
ZERO = 1_000 * S
"""CLOCK_MONOTONIC of timeline.zero in every built run."""
KILL_LO, KILL_HI = ZERO + 1 * MS, ZERO + 3 * MS
PERIOD = 100 * MS
BACK = ZERO + 4_200 * MS
"""Arrivals from the kill until here are bad."""
END = ZERO + 12 * S

SYSTEM: dict[str, Any] = {
    "system": "small-bank",
    "compose": "compose.yaml",
    "folder": "/srv/small-bank",
    "services": {name: {"name": name} for name in ("ledger", "db", "standby")},
    "roles": {
        "database": {
            "engine": "postgresql",
            "primary": "db",
            "standby": "standby",
            "database": "ledger",
            "user": "bank",
        }
    },
    "links": [
        {"caller": "customers", "callee": "ledger"},
        {"caller": "ledger", "callee": "db"},
        {"caller": "ledger", "callee": "standby"},
    ],
    "journeys": {
        "transfer": {
            "post": "ledger/transfers",
            "books": "ledger",
            "good": {"status": 201, "within": "1s"},
        },
        "balance": {"get": "ledger/balance", "good": {"status": 200, "within": "1s"}},
    },
    "books": {
        "ledger": {"on": "database", "entries": "entries.sql", "balances": "balances.sql"},
    },
}

DRILL: dict[str, Any] = {
    "drill": "primary-crash",
    "title": "The primary dies",
    "system": "system.yaml",
    "load": {"transfer": "40/s", "balance": "20/s"},
    "steady": {"for": "5s"},
    "timeline": [
        {"at": "0s", "id": "crash", "fault": "process.kill", "on": ["db"]},
        {"id": "promote", "when": {"down": "db"}, "respond": "promote-standby", "on": ["standby"]},
    ],
    "objectives": {"transfer": {"rto": "30s", "lost": 0}, "balance": {"rto": "30s"}},
    "settle": {"hold": "5s"},
    "checks": ["books-balance", "nothing-lost", "nothing-doubled", "nothing-in-doubt"],
}


def drill(**changes: Any) -> Drill:
    """The drill with some keys replaced."""
    return Drill.model_validate_json(json.dumps({**DRILL, **changes}))


def plan_for(asked: Drill, system: dict[str, Any] = SYSTEM) -> Plan:
    """A plan as the planner would make it, every fault at one instant a volley of its own."""
    steps = []
    for index, step in enumerate(asked.timeline):
        steps.append(
            PlannedStep(
                id=step.id or step.name,
                kind="fault" if step.fault else "response",
                name=step.name,
                on=step.on,
                volley=index,
                at=step.at,
                when=step.when,
                place=Place(path="drill.yaml", line=1, column=1),
            )
        )
    hold = asked.settle.hold.ns if asked.settle.hold else 30 * S
    return Plan(
        drill=asked,
        drill_path="drill.yaml",
        system=System.model_validate_json(json.dumps(system)),
        runtime="local",
        seed=1,
        load=asked.load,
        probes=tuple(
            ProbeSchedule(journey=name, every=Duration.of_ns(PERIOD), phase_ns=7 * MS) for name in asked.load
        ),
        criteria={name: Criterion(window_ns=2 * S, hold_ns=hold) for name in asked.load},
        steps=tuple(steps),
        deadline=Duration.parse("2m"),
    )


ADDED = {
    "paper": "pad VARCHAR, serial BIGINT, key VARCHAR",
    "cycles": "cycle VARCHAR, system VARCHAR, currency VARCHAR, total BIGINT",
    "before": "entry_id BIGINT, transaction_id BIGINT, key VARCHAR, account VARCHAR, amount BIGINT, currency VARCHAR",
}
"""Files that a snapshot may have besides; `before` is one file of all members."""


@dataclass
class Posting:
    """A transaction with its two legs, in the ledger of every member that is written."""

    transaction_id: int
    key: str
    payer: str
    payee: str
    amount: int
    currency: str = "CNY"
    source: str | None = "client"
    payload_hash: str | None = None


@dataclass
class RunBuilder:
    """A run whose primary was killed at KILL and whose standby served from BACK on. Change the lists, then `write`."""

    plan: Plan = field(default_factory=lambda: plan_for(drill()))
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    entries: list[dict[str, Any]] | None = None
    balances: list[dict[str, Any]] | None = None
    holds: list[dict[str, Any]] = field(default_factory=list)
    added: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Rows of ADDED; with `before` as the run says that it took them, in `collect.before`."""
    members: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"standby": {"writable": True, "in_recovery": False, "identical": True}}
    )
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    ends: dict[str, bool] = field(default_factory=lambda: {"load": True, "prober": True})
    fields: dict[str, dict[str, int]] = field(default_factory=dict)
    sealed: bool = True
    lacks: dict[str, set[str]] = field(default_factory=dict)
    """Keys whose postings a member does not have."""
    _next: int = 0
    _parties: dict[str, tuple[str, str]] = field(default_factory=dict)

    def operation(
        self,
        source: str,
        journey: str,
        intended: int,
        *,
        outcome: str | None = "ok",
        took: int = 6 * MS,
        key: str | None = None,
        attempt: int = 1,
        tap: bool = False,
        other: bool = False,
        late: int = 0,
        amount: int = 100,
        posted: bool | None = None,
        values: dict[str, str] | None = None,
        read: dict[str, Any] | None = None,
    ) -> str:
        """One operation in a journal; outcome None: sent and never answered, "missed": never sent."""
        self._next += 1
        key = key or f"{source[0]}-{journey}-{self._next:06d}"
        moves = journey == "transfer"
        payer, payee = self._parties.setdefault(key, (f"A{self._next % 5}", f"B{self._next % 7}"))
        about = {"key": key, "journey": journey, "attempt": attempt, "tap": tap, "intended": intended}
        journal = self.records.setdefault(source, [])
        if outcome == "missed":
            journal.append({"r": "missed", "id": self._next, **about, "error": "too many outstanding"})
            return key
        woke = intended + late
        intent = {"r": "intent", "id": self._next, **about, "woke": woke, "payload_hash": None}
        intent |= {"other": True} if other else {}
        intent |= {"amount": amount if moves else None, "currency": "CNY" if moves else None}
        intent["values"] = values or ({"payer": payer, "payee": payee} if moves else {})
        journal.append(intent)
        if outcome is not None:
            done = {
                "sent": woke,
                "done": woke + took,
                "outcome": outcome,
                "status": 201,
                "error": None,
                "read": read or {},
            }
            journal.append({"r": "done", "id": self._next, **done})
        if moves and (posted if posted is not None else outcome == "ok" and attempt == 1 and not tap):
            self.postings.append(Posting(self._next, key, payer, payee, amount))
        return key

    def arrivals(
        self,
        source: str,
        journey: str,
        start: int,
        stop: int,
        every: int,
        good: Callable[[int], bool] = lambda t: not KILL_LO <= t < BACK,
    ) -> list[str]:
        """Periodic arrivals; bad ones time out after 1.2 s with an unknown outcome. Returns the keys."""
        keys = []
        for intended in range(start, stop, every):
            if good(intended):
                keys.append(self.operation(source, journey, intended))
            else:
                keys.append(self.operation(source, journey, intended, outcome="unknown", took=1_200 * MS))
        return keys

    def crash(self, good: Callable[[int], bool] = lambda t: not KILL_LO <= t < BACK) -> RunBuilder:
        """Fill in the usual run: kill, outage, promotion, recovery; retries settle doubts, one in 20 is tapped."""
        for journey, every in (("transfer", 50 * MS), ("balance", 100 * MS)):
            keys = self.arrivals("load", journey, ZERO - 6 * S, END, every, good)
            self.arrivals("prober", journey, ZERO - 6 * S + 7 * MS, END, PERIOD, good)
            if journey == "transfer":
                self._retries(keys, good)
        self.usual_events()
        return self

    def _retries(self, keys: list[str], good: Callable[[int], bool]) -> None:
        intents = {r["key"]: r["intended"] for r in self.records["load"] if r["r"] == "intent"}
        for index, key in enumerate(keys):
            if not good(intents[key]):
                # Every second unknown one had not been posted; the retry settles it.
                self.operation("load", "transfer", BACK + 500 * MS, key=key, attempt=2, posted=True)
            elif index % 20 == 0:
                self.operation("load", "transfer", intents[key] + 30 * MS, key=key, attempt=2, tap=True)

    def event(self, t: int, kind: str, **data: Any) -> None:
        self.events.append((t, kind, data))

    def usual_events(self) -> None:
        """What a complete run records."""
        links = {link.name: [900, 800] for link in self.plan.system.links}
        self.event(
            ZERO - 9 * S, "run.begin", run="2026-11-23T0931-primary-crash", suspended_ns=5, machine=MACHINE
        )
        self.event(ZERO - 6 * S, "phase", name="steady", state="begin")
        self.event(ZERO - 20 * MS, "steady.ok", at="before", journeys={})
        self.event(ZERO - 10 * MS, "link.traffic", links=links)
        self.event(ZERO - 5 * MS, "phase", name="steady", state="end")
        self.event(ZERO, "timeline.zero")
        self.event(KILL_LO, "fault.begin", step="crash", name="process.kill", target="db", lo=KILL_LO)
        self.event(KILL_LO + MS, "fault.applied", step="crash", target="db")
        self.event(
            KILL_HI,
            "fault.witnessed",
            step="crash",
            target="db",
            hi=KILL_HI,
            how="the kernel has no such process",
        )
        alert = {"step": "promote", "service": "db", "first_miss": ZERO + 300 * MS, "misses": 3}
        self.event(ZERO + 700 * MS, "detect.alert", period_ns=200 * MS, **alert)
        self.event(ZERO + 710 * MS, "response.begin", step="promote", name="promote-standby", on=["standby"])
        self.event(ZERO + 1_500 * MS, "response.done", step="promote")
        self.event(END - 10 * MS, "steady.ok", at="after", journeys={})
        for member in self.members:
            digests = {"digests": ["d", "d"], "identical": True}
            self.event(END + S, "collect.snapshot", books="ledger", member=member, **digests)
        self.event(END + 2 * S, "run.end", ended="complete", reason="every journey has held", suspended_ns=5)

    def without(self, *kinds: str) -> RunBuilder:
        """Drop events of these kinds."""
        self.events = [event for event in self.events if event[1] not in kinds]
        return self

    def write(self, folder: Path) -> Path:
        """Write the run folder."""
        (folder / "ops").mkdir(parents=True)
        (folder / "plan.json").write_text(self.plan.model_dump_json())
        for source, records in self.records.items():
            self._write_journal(folder / "ops" / f"{source}.jsonl", source, records)
        for member, about in self.members.items():
            self._write_books(folder / "books" / "ledger" / member, member, about)
        events = [*self.events]
        if "before" in self.added:
            (folder / "books" / "ledger").mkdir(parents=True, exist_ok=True)
            self._write_tables(
                folder / "books" / "ledger", {"before": (ADDED["before"], self.added["before"])}
            )
            told = {
                "books": "ledger",
                "member": "db",
                "entries": len(self.added["before"]),
                "begun": ZERO - S,
            }
            events.append((ZERO - S, "collect.before", told))
        with ChainWriter(folder / "events.jsonl") as chain:
            t = 0
            for t, kind, data in sorted(events, key=lambda event: event[0]):
                chain.append(t, kind, data)
            if self.sealed:
                chain.append(t + MS, "seal", {"files": seal_files(folder)})
        return folder

    def _write_journal(self, path: Path, source: str, records: list[dict[str, Any]]) -> None:
        def instant(record: dict[str, Any]) -> int:
            return int(record.get("done") or record.get("woke") or record["intended"])

        with JournalWriter(path) as journal:
            journal.write({"r": "begin", "t": ZERO - 6 * S, "source": source})
            for record in sorted(records, key=instant):
                journal.write(record)
            if self.ends[source]:
                scheduled = sum(r["r"] != "done" and r["attempt"] == 1 and not r["tap"] for r in records)
                late = {"p50": 0.1, "p99": 0.6, "max": 1.0}
                end = {"r": "end", "t": END + S, "scheduled": scheduled, "sent": scheduled, "late_ms": late}
                journal.write({**end, "fields": self.fields})

    def legs(self) -> list[dict[str, Any]]:
        """The two entries of every posting."""
        rows: list[dict[str, Any]] = []
        for posting in self.postings:
            for account, amount in ((posting.payer, -posting.amount), (posting.payee, posting.amount)):
                row = {"transaction_id": posting.transaction_id, "key": posting.key, "account": account}
                rows.append(
                    {"entry_id": len(rows) + 1, **row, "amount": amount, "currency": posting.currency}
                )
        return rows

    def stored(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Balances that fit the entries."""
        moved: dict[str, int] = {}
        for entry in entries:
            moved[entry["account"]] = moved.get(entry["account"], 0) + entry["amount"]
        accounts = sorted({*moved, *(f"A{n}" for n in range(5)), *(f"B{n}" for n in range(7))})
        return [
            {"account": a, "currency": "CNY", "opening": 10**6, "balance": 10**6 + moved.get(a, 0)}
            for a in accounts
        ]

    def _write_books(self, folder: Path, member: str, about: dict[str, Any]) -> None:
        folder.mkdir(parents=True)
        gone = self.lacks.get(member, set())
        entries = [e for e in (self.legs() if self.entries is None else self.entries) if e["key"] not in gone]
        tables: dict[str, tuple[str, list[dict[str, Any]]]] = {
            "entries": (
                "entry_id BIGINT, transaction_id BIGINT, key VARCHAR, account VARCHAR, amount BIGINT, currency VARCHAR",
                entries,
            ),
            "balances": (
                "account VARCHAR, currency VARCHAR, opening BIGINT, balance BIGINT",
                self.stored(entries) if self.balances is None else self.balances,
            ),
            "holds": (
                "hold_id BIGINT, key VARCHAR, state VARCHAR, amount BIGINT, currency VARCHAR",
                self.holds,
            ),
            "transactions": (
                "transaction_id BIGINT, key VARCHAR, source VARCHAR, from_account VARCHAR, to_account VARCHAR, "
                "amount BIGINT, currency VARCHAR, payload_hash VARCHAR",
                [
                    {
                        "transaction_id": p.transaction_id,
                        "key": p.key,
                        "source": p.source,
                        "from_account": p.payer,
                        "to_account": p.payee,
                        "amount": p.amount,
                        "currency": p.currency,
                        "payload_hash": p.payload_hash,
                    }
                    for p in self.postings
                    if p.key not in gone
                ],
            ),
        }
        tables |= {name: (ADDED[name], rows) for name, rows in self.added.items() if name != "before"}
        self._write_tables(folder, tables)
        meta = {"books": "ledger", "member": member, "timeline": 2, "lsn": "0/3000000", **about}
        meta["folder"] = f"books/ledger/{member}"
        meta["in-recovery"] = meta.pop("in_recovery")
        (folder / "meta.json").write_text(json.dumps(meta))

    @staticmethod
    def _write_tables(folder: Path, tables: dict[str, tuple[str, list[dict[str, Any]]]]) -> None:
        with duckdb.connect() as base:
            for name, (columns, rows) in tables.items():
                lines = folder / f".{name}.jsonl"
                lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
                spec = ", ".join(f"'{c.split()[0]}': '{c.split()[1]}'" for c in columns.split(", "))
                base.execute(f"CREATE TABLE {name} ({columns})")
                if rows:
                    base.execute(
                        f"INSERT INTO {name} BY NAME SELECT * FROM read_json('{lines}', columns = {{{spec}}})"
                    )
                base.execute(f"COPY {name} TO '{folder / name}.parquet' (FORMAT parquet)")
                lines.unlink()
