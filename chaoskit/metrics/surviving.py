"""The surviving ledger: of a database role's live members exactly one accepts writes."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.model.history import BooksSnapshot


def survivor_of(
    books: str, snapshots: Iterable[BooksSnapshot]
) -> tuple[BooksSnapshot | None, tuple[str, ...], tuple[str, ...]]:
    """(survivor or None, members that accept writes, problems). Two or none is a problem, never a choice."""
    own = [snapshot for snapshot in snapshots if snapshot.books == books]
    alive = [snapshot for snapshot in own if snapshot.writable and not snapshot.in_recovery]
    names = tuple(sorted(snapshot.member for snapshot in alive))
    if not own:
        return None, names, (f"the books {books} were not collected",)
    if len(alive) > 1:
        return None, names, (f"split brain: {' and '.join(names)} both accept writes to the books {books}",)
    if not alive:
        looked = ", ".join(sorted(snapshot.member for snapshot in own))
        return None, names, (f"no member of the books {books} accepts writes (looked at {looked})",)
    if not alive[0].identical:
        return alive[0], names, (f"the books {books} were still changing when they were collected",)
    return alive[0], names, ()
