"""Reads a run folder back into a History; whatever is damaged or missing becomes a named problem, never a guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chaoskit.conductor.journal import JournalReader
from chaoskit.errors import EnvironmentBroken, InputError
from chaoskit.evidence.chain import Chain, verify
from chaoskit.evidence.seal import Hashing, seal_problems
from chaoskit.model.history import BooksSnapshot, Event, History, Operation
from chaoskit.model.plan import Plan
from chaoskit.regular_file import read_regular

JOURNALS = ("load", "prober")


def load_history(folder: Path, read: dict[str, str] | None = None) -> History:
    """The history of one run.

    Raises InputError for a folder that is no run, and EnvironmentBroken (unknown) for a run whose plan cannot be read:
    the objectives it would be judged by are frozen there. Anything else that is wrong is in `problems`. `read` is given
    the SHA-256 of the journals, as they were read: by their places in the folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a run, like reports/<run>")
    if not (folder / "plan.json").exists() and not (folder / "events.jsonl").exists():
        raise InputError(f"{folder}: is no run: it has neither plan.json nor events.jsonl")
    plan = _plan(folder / "plan.json")
    chain = verify(folder / "events.jsonl")
    problems = [*chain.problems, *_ending_problems(chain)]
    measured = any(e.kind == "phase" and e.data.get("name") == "steady" for e in chain.events)
    read = {} if read is None else read
    operations, journals, journal_problems = _journals(folder, measured, read)
    if chain.sealed:
        files = chain.events[-1].data.get("files")
        if isinstance(files, dict):
            problems += seal_problems(folder, files, read)
        else:
            problems.append("events.jsonl: the seal names no files")
    books, book_problems = _books(folder, chain.events)
    return History(
        run=_run_name(chain.events, folder),
        folder=folder,
        plan=plan,
        events=chain.events,
        operations=tuple(operations),
        journals=journals,
        books=tuple(books),
        problems=(*problems, *journal_problems, *book_problems),
    )


def _plan(path: Path) -> Plan:
    try:
        return Plan.model_validate_json(read_regular(path))
    except OSError as error:
        why = error.strerror or str(error)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        why = f"{place + ': ' if place else ''}{first['msg']}"
    raise EnvironmentBroken(
        f"{path}: {why}. The objectives this run must be judged by are frozen there: its verdict is unknown"
    )


def _ending_problems(chain: Chain) -> list[str]:
    """A chain without an end or a seal was left by a killed run."""
    if not chain.events:
        return ["events.jsonl: no event was recorded"]
    problems = []
    if not any(event.kind == "run.end" for event in chain.events):
        problems.append("the run did not end by itself: it was killed")
    elif not chain.sealed:
        problems.append("the run was not sealed: its files cannot be proven to be those it wrote")
    elif chain.torn:
        problems.append("events.jsonl: the last line is incomplete")
    return problems


def _run_name(events: tuple[Event, ...], folder: Path) -> str:
    for event in events:
        if event.kind == "run.begin" and isinstance(event.data.get("run"), str):
            return str(event.data["run"])
    return folder.resolve().name


def _journals(
    folder: Path, expected: bool, read: dict[str, str]
) -> tuple[list[Operation], dict[str, dict[str, Any]], list[str]]:
    """Operations of all journals, what each says of itself, and what is wrong with them; their digests are `read`."""
    operations: list[Operation] = []
    journals: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for name in JOURNALS:
        place = f"ops/{name}.jsonl"
        path = folder / place
        if not path.is_file():
            if expected:
                problems.append(f"ops/{name}.jsonl: missing, though the run was measured")
            continue
        try:
            with Hashing() as hashed:
                reader = JournalReader(path, hashed.update)
                own = reader.operations()
            read[place] = hashed.hexdigest()
        except OSError as error:
            problems.append(f"ops/{name}.jsonl: {error.strerror}")
            continue
        operations += own
        problems += [f"ops/{problem}" for problem in reader.problems]
        if reader.header is None:
            problems.append(f"ops/{name}.jsonl: holds no `begin`")
        elif reader.header.get("source") != name:
            problems.append(f"ops/{name}.jsonl: is the journal of the {reader.header.get('source')}")
        if reader.end is None:
            problems.append(f"ops/{name}.jsonl: has no `end`: the {name} was killed")
        journals[name] = _about(reader, own)
    return operations, journals, problems


def _about(reader: JournalReader, operations: list[Operation]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "begin": reader.header,
        "missed": sum([operation.sent is None for operation in operations]),
    }
    if reader.end is not None:
        about["end"] = reader.end
        about["lateness"] = reader.end.get("late_ms") or {}
    else:
        about["last"] = _last_word(reader, operations)
    return about


def _last_word(reader: JournalReader, operations: list[Operation]) -> int | None:
    """The last time that a journal without an end has."""
    times = [o.done for o in operations if o.done is not None]
    times += [o.intended if o.sent is None else o.sent for o in operations]
    times += [int(r["t"]) for r in (reader.header, reader.last_beat) if r and isinstance(r.get("t"), int)]
    return max(times, default=None)


def _books(folder: Path, events: tuple[Event, ...]) -> tuple[list[BooksSnapshot], list[str]]:
    """Every member's snapshot on disk; those that the events name and the disk has not are problems."""
    snapshots: list[BooksSnapshot] = []
    problems: list[str] = []
    found: set[tuple[str, str]] = set()
    for meta in sorted((folder / "books").glob("*/*/meta.json")):
        place = meta.relative_to(folder).as_posix()
        try:
            snapshot = BooksSnapshot.model_validate_json(read_regular(meta))
        except OSError as error:
            problems.append(f"{place}: {error.strerror}")
            continue
        except ValidationError as error:
            problems.append(f"{place}: {error.errors(include_url=False, include_input=False)[0]['msg']}")
            continue
        if (snapshot.books, snapshot.member) != (meta.parent.parent.name, meta.parent.name):
            problems.append(f"{place}: is the snapshot of {snapshot.books}/{snapshot.member}")
        found.add((snapshot.books, snapshot.member))
        # The run folder may have been moved or copied since: the files are always those beside meta.json.
        snapshots.append(snapshot.model_copy(update={"folder": meta.parent}))
    for event in events:
        if event.kind == "collect.snapshot":
            named = (str(event.data.get("books")), str(event.data.get("member")))
            if named not in found:
                problems.append(f"books/{'/'.join(named)}: was collected (event {event.n}) and is not there")
        if event.kind == "collect.before" and "entries" in event.data:
            place = f"books/{event.data.get('books')}/before.parquet"
            if not (folder / place).is_file():
                problems.append(f"{place}: was collected (event {event.n}) and is not there")
    return snapshots, problems
