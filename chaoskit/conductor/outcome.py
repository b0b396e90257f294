"""What an exchange's end means for the money: ok it took effect, fail it did not, unknown it may, accepted it will."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple

from pydantic_core import from_json

from chaoskit.conductor.answer import Answer
from chaoskit.model.journey import Journey, Read

DEPTH_MAX, FIELDS_MAX = 3, 100
"""Objects within objects whose fields are named, and how many of them at most."""


class Judged(NamedTuple):
    """Outcome of one attempt, why it is not ok, and the fields a read returned.

    `fields`: all that the answer had and that said something, where an age was looked for and it had none.
    """

    outcome: Literal["ok", "fail", "unknown", "accepted"]
    error: str | None
    read: dict[str, Any]
    fields: tuple[str, ...] = ()


def judged(journey: Journey, answer: Answer) -> Judged:
    """MEASUREMENT, "Operation record": in doubt, unknown. Only two things are a certain failure: nothing was
    sent, or the answer is one that the system file lists under `refused` (or that a class of the user's own calls so).
    """
    if answer.ending == "connect":
        return Judged("fail", f"connect: {answer.detail}", {})
    if answer.ending == "error":
        refused = answer.code.startswith(journey.refused.sqlstate) and answer.code != ""
        return Judged("fail" if refused else "unknown", f"sqlstate {answer.code}: {answer.detail}", {})
    if answer.ending != "answered":
        return Judged("unknown", f"{answer.ending}: {answer.detail}", {})
    if journey.kind == "sql":
        return Judged("ok", *_columns(journey.read, answer.read))
    if journey.kind == "class":
        return Judged(answer.outcome or "unknown", answer.detail or None, dict(answer.read))
    if answer.status in journey.good.statuses:
        return Judged("ok", *_read(journey.read, answer.body))
    if journey.accepted is not None and answer.status in journey.accepted.status:
        return Judged("accepted", None, {})
    if answer.status in journey.refused.status:
        return Judged("fail", f"status {answer.status}", {})
    return Judged("unknown", f"status {answer.status}", {})


def _columns(read: Read, row: Mapping[str, Any]) -> tuple[str | None, dict[str, Any], tuple[str, ...]]:
    """The columns of the first row that `read` names."""
    wanted = {name: column for name, column in (("value", read.value), ("position", read.position)) if column}
    found = {name: row[column] for name, column in wanted.items() if column in row}
    absent = [column for column in wanted.values() if column not in row]
    if read.age is not None and row.get(read.age) is not None:
        found["age"] = row[read.age]
    why = f"read: no row with a column {absent[0]!r}" if absent else None
    return why, found, () if read.age is None or read.age in row else tuple(_names(row))


def _read(read: Read, body: bytes) -> tuple[str | None, dict[str, Any], tuple[str, ...]]:
    """The fields named by `read`, dots stepping into objects; an answer without them says so in `error`."""
    wanted = {name: path for name, path in (("value", read.value), ("position", read.position)) if path}
    if not wanted and read.age is None:
        return None, {}, ()
    try:
        document = from_json(body)
    except ValueError:
        return "read: the body is not JSON", {}, ()
    found: dict[str, Any] = {}
    for name, path in wanted.items():
        value = document
        for step in path.split("."):
            if not isinstance(value, dict) or step not in value:
                return f"read: no field {path!r} in the answer", found, ()
            value = value[step]
        found[name] = value
    if read.age is None:
        return None, found, ()
    age: Any = document
    for step in read.age.split("."):
        if not isinstance(age, dict) or step not in age:
            return None, found, tuple(islice(_names(document), FIELDS_MAX))
        age = age[step]
    # Only an answer that admits to be stale has an age.
    return None, found if age is None else {**found, "age": age}, ()


def _names(document: Any, before: str = "") -> Iterator[str]:
    """The names of the fields that say something, with dots for those of objects in it."""
    if isinstance(document, dict):
        for name, value in document.items():
            if _says(value):
                yield f"{before}{name}"
            if before.count(".") < DEPTH_MAX:
                yield from _names(value, f"{before}{name}.")


def _says(value: Any) -> bool:
    """Whether it could be an age: null, 0 and false admit nothing, and it is seen when it becomes another."""
    return value is not None and not (isinstance(value, int | float) and not value)
