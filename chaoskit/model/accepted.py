"""What a system accepts and does later: the answer that promises it, how much may be promised, who keeps the word."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chaoskit.model.base import Frozen
from chaoskit.quantity import Money


class Accepted(Frozen):
    """Answers that promise the operation instead of doing it: it is minimum service, not full service, and the books
    must have it in the end."""

    status: Annotated[tuple[int, ...], Field(min_length=1, description="HTTP statuses, like [202]")]
    limit: Annotated[
        Money | None,
        Field(description="the most that one customer may be promised until it is booked, like 100.00 CNY"),
    ] = None
    per: Annotated[
        str | None,
        Field(description="drawn value that says who the customer is; default: `from` of `parties`"),
    ] = None
    replay: Annotated[
        str | None,
        Field(
            description="service/path that books, by key, what was accepted (POST, JSON {}); it answers {booked, "
            "replayed, double-spent, refused, unknown}, lists of keys"
        ),
    ] = None
