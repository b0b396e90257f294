"""The surviving ledger: of a database role's live members exactly one accepts writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chaoskit.model.history import BooksSnapshot, Event


def unsure_members(books: str, events: Iterable[Event]) -> dict[str, str]:
    """Members that live, unfenced, and did not say whether they accept writes, with why: to hang is not to refuse."""
    return {
        str(event.data.get("member")): str(event.data.get("error") or event.data.get("why"))
        for event in events
        if event.kind == "collect.write"
        or (event.kind == "collect.absent" and event.data.get("books") == books and event.data.get("unsure"))
    }


def survivor_of(
    books: str, snapshots: Iterable[BooksSnapshot], unsure: Mapping[str, str]
) -> tuple[BooksSnapshot | None, tuple[str, ...], tuple[str, ...]]:
    """(survivor or None, members that accept writes, problems). Two or none is a problem, never a choice.

    `unsure`: as `unsure_members` says; one that follows another by its own word accepts none all the same.
    """
    own = [snapshot for snapshot in snapshots if snapshot.books == books]
    alive = [snapshot for snapshot in own if snapshot.writable and not snapshot.in_recovery]
    names = tuple(sorted(snapshot.member for snapshot in alive))
    if not own:
        told = "; ".join(f"{member}: {unsure[member]}" for member in sorted(unsure))
        return None, names, (f"the books {books} were not collected" + (f" ({told})" if told else ""),)
    if len(alive) > 1:
        return None, names, (f"split brain: {' and '.join(names)} both accept writes to the books {books}",)
    standbys = {snapshot.member for snapshot in own if snapshot.in_recovery}
    if open_question := sorted(set(unsure) - standbys):
        why = "; ".join(f"{member} lives and did not say ({unsure[member]})" for member in open_question)
        return None, names, (f"who accepts writes to the books {books} is not known: {why}",)
    if not alive:
        looked = ", ".join(sorted(snapshot.member for snapshot in own))
        return None, names, (f"no member of the books {books} accepts writes (looked at {looked})",)
    if not alive[0].identical:
        return alive[0], names, (f"the books {books} were still changing when they were collected",)
    return alive[0], names, ()
