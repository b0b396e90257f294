"""A journey's losses and doubts on paper: which keys, where they were looked for, and the recovery point."""

from __future__ import annotations

from chaoskit.judge.paper import Paper, doubt, listed, seconds
from chaoskit.metrics.reconciliation import sql
from chaoskit.model.measurement import LossMeasure


def lost(paper: Paper, journey: str) -> str:
    """The keys that are lost, and the bounds of the recovery point."""
    loss = paper.loss(journey)
    if loss is None:
        return f"{journey}.lost: the journey names no books"
    own = [operation for operation in loss.lost if operation.journey == journey]
    unbooked = [operation for operation in loss.unbooked if operation.journey == journey]
    of = f"{len(own)} of {loss.acknowledged_by_journey.get(journey, 0)} acknowledged keys"
    if unbooked:
        missing, accepted = len(loss.missing(journey)), f"{len(unbooked)} accepted and not booked"
        of = f"{missing} key{'' if missing == 1 else 's'}: {of}, and {accepted}"
    text = [
        f"{journey}.lost: {of if _known(loss) else 'unknown'}",
        f"  looked for in the books {loss.books} of {loss.survivor or 'nobody'}, before anything was replayed",
        *(f"  cannot be used: {why}" for why in loss.problems),
        *(f"  in doubt, if acknowledged {_doubted(paper, *span)}: {loss.doubt}" for span in loss.doubted),
        *_run_it_yourself(paper, loss, "lost"),
        *(f"  lost {o.key}: sent {paper.at(o.sent)}, acknowledged {paper.at(o.done)}" for o in own),
        *(f"  not booked {o.key}: sent {paper.at(o.sent)}, accepted {paper.at(o.done)}" for o in unbooked),
    ]
    point, started = loss.rpa_by_journey.get(journey), paper.measurements.clocks.started
    if point is not None and started is not None and own:
        done, sent = min(o.done for o in own), min(o.sent for o in own)
        hi = started.lo if started.hi is None else started.hi
        text += [
            "  recovery point, lower bound: f_lo − first acknowledged = "
            f"{paper.at(started.lo)} − {paper.at(done)} = {seconds(max(0, started.lo - done))}",
            "  recovery point, upper bound: f_hi − first sent = "
            f"{paper.at(hi)} − {paper.at(sent)} = {seconds(max(0, hi - sent))}",
            *doubt(point.lo == max(0, started.lo - done)),
        ]
    return "\n".join(text)


def _known(loss: LossMeasure) -> bool:
    """Whether the books could be read: otherwise nothing is lost that is known, which is not 0."""
    return loss.survivor is not None and not loss.problems


def _doubted(paper: Paper, since: int, until: int) -> str:
    return f"from {paper.at(since)} on, asked for until {paper.at(until)}"


def in_doubt(paper: Paper, journey: str) -> str:
    """What became of each key of unknown outcome."""
    loss = paper.loss(journey)
    if loss is None:
        return f"{journey}.in-doubt: the journey names no books"
    keys = loss.in_doubt_by_journey.get(journey, ())
    settled = {key: loss.in_doubt[key] for key in keys}
    left = sum(what not in ("posted", "absent") for what in settled.values())
    return listed(
        f"{journey}.in-doubt: {f'{left} of {len(keys)}' if _known(loss) else 'unknown, of the'} keys whose "
        "customers were not told",
        [
            "each was looked for by key in the surviving books; posted or absent settles it",
            *_run_it_yourself(paper, loss, "in_doubt"),
            *(f"{key}: {what}" for key, what in settled.items()),
        ],
    )


def _run_it_yourself(paper: Paper, loss: LossMeasure, name: str) -> list[str]:
    body = " ".join(line for line in sql(name).splitlines() if not line.lstrip().startswith("--"))
    place = f"ops/*.jsonl and books/{loss.books}/{loss.survivor}/*.parquet"
    return [f"  over {place}, in SQL; `chaoskit sql` prints all that goes before it:", f"    {body}"]
