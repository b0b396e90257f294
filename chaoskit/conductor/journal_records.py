"""The lines of a journal as typed records: the usual ones at a tenth of the cost, and nothing let through by it.

An hour's run has three quarters of a million lines. Those of the usual shape are decoded straight into their types, a
block of lines at once. Where one of them is unusual, `None` sends the block line by line, and that line the long way
(`journal.JournalReader`), which checks it field by field and words what is wrong.
"""

from __future__ import annotations

from sys import intern
from typing import Any, Literal

import msgspec
from pydantic import ValidationError, create_model

from chaoskit.model.base import Frozen
from chaoskit.model.operation import Operation

OF_INTENT = (
    "key",
    "journey",
    "attempt",
    "tap",
    "intended",
    "woke",
    "payload_hash",
    "amount",
    "currency",
    "values",
)
OF_DONE = ("sent", "done", "outcome", "status", "error", "read")
OF_MISSED = ("key", "journey", "attempt", "tap", "intended", "error")
_NOTHING: dict[str, Any] = {}
"""What most operations read; one for all, and one string for a name that all have, is a sixth less of memory."""
_BETWEEN = b"}\n{"


class Intent(
    msgspec.Struct, gc=False, forbid_unknown_fields=True, omit_defaults=True, tag_field="r", tag="intent"
):
    """What was about to be sent."""

    id: int
    key: str
    journey: str
    attempt: int
    tap: bool
    intended: int
    woke: int
    payload_hash: str | None
    amount: int | None
    currency: str | None
    values: dict[str, str]
    other: bool = False


class Done(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="r", tag="done"):
    """What came of it. What was read is flat; nested, it goes the long way, which knows how deep is too deep."""

    id: int
    sent: int | None
    done: int | None
    outcome: Literal["ok", "fail", "unknown", "accepted"]
    status: int | None
    error: str | None
    read: dict[str, bool | int | float | str | None]


class Beat(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="r", tag="beat"):
    """The measurer lives."""

    t: int
    scheduled: int
    sent: int
    missed: int
    late_max_ms: int | float
    outstanding: int


Usual = Intent | Done | Beat
_USUAL: msgspec.json.Decoder[Usual] = msgspec.json.Decoder(Usual)
_FIELDS: dict[str, Any] = {
    field.name: (
        field.type,
        ...
        if field.required
        else field.default
        if field.default_factory is msgspec.NODEFAULT
        else field.default_factory(),
    )
    for field in msgspec.structs.fields(Operation)
}
_Checked = create_model("Operation", __base__=Frozen, **_FIELDS)


def usual(line: bytes) -> Usual | None:
    """The record, if the line is one of the usual shape."""
    try:
        return _USUAL.decode(line)
    except (msgspec.MsgspecError, ValueError):  # ValueError: damaged bytes, or a number of too many digits
        return None


def usual_lines(block: bytes) -> list[Usual] | None:
    """The record of each line, if all lines of the block are of the usual shape. It ends with the end of a line."""
    count = block.count(b"\n")
    # The decoder takes the end of a line for nothing but white space. With an object on either side of each, and as
    # many objects as lines, every line is one object.
    if block.count(_BETWEEN) != count - 1 or not block.startswith(b"{") or not block.endswith(b"}\n"):
        return None
    try:
        records = _USUAL.decode_lines(block)
    except (msgspec.MsgspecError, ValueError):
        return None
    return records if len(records) == count else None


def begun(source: Literal["load", "prober"], intent: Intent) -> Operation:
    """The operation as long as there is no answer: it counts as sent when the scheduler came to it."""
    # By position, which costs half of what names do; the order is Operation's.
    return Operation(
        intent.key,
        intent.journey,
        source,
        intent.attempt,
        intent.intended,
        intent.tap,
        intent.other,
        intent.woke,
        intent.woke,
        None,
        "unknown",
        None,
        None,
        intent.payload_hash,
        intent.amount,
        intent.currency,
        intent.values,
    )


def answered(source: Literal["load", "prober"], intent: Intent, done: Done) -> Operation:
    """The operation with its answer."""
    return Operation(
        intent.key,
        intern(intent.journey),
        source,
        intent.attempt,
        intent.intended,
        intent.tap,
        intent.other,
        intent.woke,
        done.sent,
        done.done,
        done.outcome,
        done.status,
        done.error,
        intent.payload_hash,
        intent.amount,
        intent.currency and intern(intent.currency),
        intent.values,
        done.read or _NOTHING,
    )


def checked(**fields: Any) -> Operation:
    """The operation of these fields. Raises pydantic's ValidationError, a ValueError, for one of another type."""
    return Operation(**dict(_Checked(**fields)))


def first_line(error: Exception) -> str:
    """What is wrong with a line, in one line of words."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"field {error.args[0]!r} is missing"
    return str(error).splitlines()[0]
