"""An independent reconciler of small books: plain Python from the rules' definitions, over rows of the published files.

It imports nothing of chaoskit. `judge` takes operations and the rows of a snapshot's tables as dictionaries and
returns, for each rule, the subjects that break it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
TABLES = ("entries", "transactions", "balances", "holds")
ADDED = ("paper", "cycles", "before")
DONE = ("posted", "voided", "expired")


def judge(
    operations: Sequence[Row],
    entries: Sequence[Row],
    transactions: Sequence[Row],
    balances: Sequence[Row],
    holds: Sequence[Row],
    parties: Mapping[str, tuple[str, str]] | None = None,
    added: Mapping[str, Sequence[Row]] | None = None,
) -> dict[str, set[str]]:
    """Rule → subjects, for rules that something breaks; `lost` and `in-doubt` (key=resolution) are told likewise."""
    sent = [o for o in operations if o["sent"] is not None]
    asked = {o["key"] for o in sent}
    told = {key: _told(rows) for key, rows in _by("key", [o for o in sent if not o["other"]]).items()}
    posted = {key: rows for key, rows in _by("key", transactions).items() if key is not None}
    found: dict[str, set[str]] = {
        **_of_keys(told, posted, parties or {}, _compared(operations, transactions, parties or {})),
        **_of_transactions(entries, transactions),
        **_of_accounts(entries, balances),
        **_of_holds(holds, posted),
    }
    more = {"paper": (), "cycles": (), "before": (), **(added or {})}
    found |= {
        "paper-serials": _serials(more["paper"]),
        "paper-postings": _slips(more["paper"], posted),
        "cycle-totals": _cycles(more["cycles"]),
        "entries-before": _changed(more["before"], entries),
    }
    found["another-payload"] = {
        o["key"]
        for o in operations
        if o["other"] and (o["outcome"] == "ok" or _posted_again(o, told, posted))
    }
    found["unasked"] = {
        str(t["transaction_id"])
        for t in transactions
        if not t["key"] or (t["source"] == "client" and t["key"] not in asked)
    }
    open_ = {h["key"] for h in holds if h["state"] not in DONE}
    found["in-doubt"] = {
        f"{key}={_resolution(len(posted.get(key, ())), key in open_)}"
        for key, row in told.items()
        if row["outcome"] == "unknown"
    }
    return {rule: subjects for rule, subjects in found.items() if subjects}


def _posted_again(other: Row, told: Mapping[str, Row], posted: Mapping[str, Sequence[Row]]) -> bool:
    """Whether the second payload under a used key is in the books, though it is not the first one's."""
    first = told.get(other["key"])
    return first is not None and any(
        None not in (other[name], first[name]) and t[name] == other[name] != first[name]
        for t in posted.get(other["key"], ())
        for name in ("amount", "payload_hash")
    )


def _of_keys(
    told: Mapping[str, Row],
    posted: Mapping[str, Sequence[Row]],
    parties: Mapping[str, tuple[str, str]],
    compared: set[str],
) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    both = [(key, told[key], _first(posted[key])) for key in told if key in posted]
    hashes_are_alike = any(k["payload_hash"] == p["payload_hash"] is not None for _, k, p in both)
    for key, k, p in both:
        if k["outcome"] == "fail":
            found["refused-but-posted"].add(key)
        if (
            "amounts" in compared
            and k["amount"] is not None
            and (k["amount"], k["currency"])
            != (
                p["amount"],
                p["currency"] if "currencies" in compared else k["currency"],
            )
        ):
            found["amount-differs"].add(key)
        both_named = (p["from_account"], p["to_account"])
        names = parties.get(k["journey"])
        if None not in both_named or (names and "roles" in compared):
            if names:
                wrong = both_named != tuple(k["values"].get(name) for name in names)
            else:
                wrong = len(k["values"]) >= 2 and bool(Counter(both_named) - Counter(k["values"].values()))
            if wrong:
                found["parties-differ"].add(key)
        hashes = (k["payload_hash"], p["payload_hash"])
        if hashes_are_alike and None not in hashes and hashes[0] != hashes[1]:
            found["payload-differs"].add(key)
    found["doubled"] = {key for key, rows in posted.items() if len(rows) > 1}
    found["lost"] = {key for key, k in told.items() if k["outcome"] == "ok" and key not in posted}
    return found


def _compared(
    operations: Sequence[Row], transactions: Sequence[Row], parties: Mapping[str, tuple[str, str]]
) -> set[str]:
    """What both sides tell at all, so that one who is silent about it in a single row is not like the others."""
    found = set()
    if all(any(row["amount"] is not None for row in rows) for rows in (operations, transactions)):
        found.add("amounts")
    if any(t["currency"] is not None for t in transactions):
        found.add("currencies")
    named = any(None not in (t["from_account"], t["to_account"]) for t in transactions)
    if named and any(o["journey"] in parties for o in operations):
        found.add("roles")
    return found


def _of_transactions(entries: Sequence[Row], transactions: Sequence[Row]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    legs = _by("transaction_id", entries)
    rows = _by("transaction_id", transactions)
    for number in {*legs, *rows}:
        own = legs.get(number, [])
        if not any((e["amount"] or 0) < 0 for e in own) or not any((e["amount"] or 0) > 0 for e in own):
            found["one-legged"].add(str(number))
        if any(_sums(own, "currency").values()) or any(e["amount"] is None for e in own):
            found["unbalanced"].add(str(number))
        said = rows.get(number, [])
        off: dict[tuple[Any, ...], int] = defaultdict(int)
        named = [t for t in said if t["from_account"] is not None and t["to_account"] is not None]
        for t in named:
            off[t["from_account"], t["currency"]] += t["amount"] or 0
            off[t["to_account"], t["currency"]] -= t["amount"] or 0
        if named or not said:
            for e in own:
                off[e["account"], e["currency"]] += e["amount"] or 0
        if any(off.values()):
            found["entries-differ"].add(str(number))
    return found


def _of_accounts(entries: Sequence[Row], balances: Sequence[Row]) -> dict[str, set[str]]:
    moved = _sums(entries, "account", "currency")
    stored = {(b["account"], b["currency"]): b for b in balances}
    wrong = {
        account
        for account, currency in {*moved, *stored}
        if (b := stored.get((account, currency))) is None
        or b["balance"] != b["opening"] + moved.get((account, currency), 0)
    } | {
        account
        for (account, _), n in Counter((b["account"], b["currency"]) for b in balances).items()
        if n > 1
    }
    currencies = _by("currency", balances)
    total = {
        str(currency)
        for currency, rows in currencies.items()
        if sum(b["balance"] or 0 for b in rows) != sum(b["opening"] for b in rows)
    }
    return {"stored-balance": wrong, "total": total}


def _of_holds(holds: Sequence[Row], posted: Mapping[str, Sequence[Row]]) -> dict[str, set[str]]:
    wrong = set()
    for key, rows in _by("key", holds).items():
        paid = sum(h["state"] == "posted" for h in rows)
        if key is not None and (paid > 1 or (paid == 1) != (key in posted)):
            wrong.add(key)
        if key is None and paid:
            wrong.add("-")
    dangling = {str(h["hold_id"]) for h in holds if h["state"] not in DONE}
    return {"hold-and-posting": wrong, "dangling-hold": dangling}


def _serials(paper: Sequence[Row]) -> set[str]:
    """Serials that were used twice, and the first of each row of missing ones."""
    wrong = set()
    for pad, slips in _by("pad", paper).items():
        serials = [slip["serial"] for slip in slips]
        for serial in set(serials):
            if serial is None or serials.count(serial) > 1:
                wrong.add(f"{pad or '-'}/{'-' if serial is None else serial}")
        known = {serial for serial in serials if serial is not None}
        wrong |= {f"{pad or '-'}/{s + 1}" for s in known if s + 1 not in known and s != max(known)}
    return wrong


def _slips(paper: Sequence[Row], posted: Mapping[str, Sequence[Row]]) -> set[str]:
    wrong = set()
    slips = Counter(key for _, _, key in {(slip["pad"], slip["serial"], slip["key"]) for slip in paper})
    for slip in paper:
        rows = posted.get(slip["key"], [])
        if len(rows) != 1 or rows[0]["source"] == "client" or slips[slip["key"]] > 1:
            wrong.add(f"{slip['pad'] or '-'}/{'-' if slip['serial'] is None else slip['serial']}")
    return wrong


def _cycles(cycles: Sequence[Row]) -> set[str]:
    usual = {c["currency"]: {o["system"] for o in cycles if o["currency"] == c["currency"]} for c in cycles}
    wrong = set()
    for cycle in {(c["cycle"], c["currency"]) for c in cycles}:
        own = [c for c in cycles if (c["cycle"], c["currency"]) == cycle]
        once = sorted(c["system"] for c in own) == sorted(usual[cycle[1]])
        if not once or None in [c["total"] for c in own] or len({c["total"] for c in own}) != 1:
            wrong.add(f"{cycle[0]} {cycle[1]}")
    return wrong


def _changed(before: Sequence[Row], entries: Sequence[Row]) -> set[str]:
    names = ("transaction_id", "key", "account", "amount", "currency")
    now = _by("entry_id", entries)
    wrong = set()
    for number, rows in _by("entry_id", before).items():
        there = Counter(tuple(row[name] for name in names) for row in now.get(number, []))
        if there != Counter(tuple(row[name] for name in names) for row in rows):
            wrong.add(str(number))
    return wrong


def _told(rows: Sequence[Row]) -> Row:
    outcomes = {row["outcome"] for row in rows}
    outcome = "ok" if "ok" in outcomes else "unknown" if "unknown" in outcomes else "fail"
    return {
        **_first(rows),
        "journey": rows[0]["journey"],
        "outcome": outcome,
        "values": min((row["values"] for row in rows), key=_text),
    }


def _text(values: Mapping[str, str]) -> str:
    return json.dumps(values, separators=(",", ":"))


def _first(rows: Sequence[Row]) -> dict[str, Any]:
    """The smallest of each column that is there, as for a key with several rows."""
    names = ("amount", "currency", "payload_hash", "from_account", "to_account")
    return {
        name: min((row[name] for row in rows if row.get(name) is not None), default=None) for name in names
    }


def _resolution(count: int, held: bool) -> str:
    return "posted" if count == 1 else "doubled" if count else "held" if held else "absent"


def _by(name: str, rows: Iterable[Row]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[name]].append(row)
    return groups


def _sums(rows: Iterable[Row], *names: str) -> dict[Any, int]:
    sums: dict[Any, int] = defaultdict(int)
    for row in rows:
        sums[tuple(row[name] for name in names)] += row["amount"] or 0
    return sums
