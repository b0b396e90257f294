"""restored-from-backup: what was restored is what was there, as close to the damage as the evidence allowed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaoskit.metrics.attacks import pushed_settings
from chaoskit.model.history import Event, History
from chaoskit.model.measurement import FaultMeasure, Measurements
from chaoskit.model.verdict import Verdict
from chaoskit.registry import register

RULES = ("one-legged", "unbalanced", "entries-differ", "stored-balance", "total", "unasked")
_EMPTY = tuple(
    hashlib.new(name, b"", usedforsecurity=False).hexdigest() for name in ("md5", "sha256", "sha512")
)
_NOTHING = ("", "None", "0", *_EMPTY)
"""What a count or a digest says of no row at all."""
ATTACKS = ("attack.", "mistake.")
_NO_DAMAGE = ("attack.flood", "attack.credential-stuffing")
"""Those that keep a service busy, or log in as anybody may: no row was made wrong that a restore could take back."""
_OF_ONE = ("attack.rogue-admin", "mistake.wrong-command")
"""Those that change rows of their target alone."""
ROLL_OUT = "upgrade.roll-out"


@register("checks", "restored-from-backup")
@dataclass(frozen=True)
class RestoredFromBackup:
    """Was the database restored from its backup, to a state that is proven to be what was there before the damage?

    Judges the restore that a response carried out: the digest of what the system had seen settled must be found again
    in the restored database, the restore point must lie before the damage to that database was witnessed (a flood or
    tried log-ins do none), and the books that survive must balance. How far the point lies before the first damage is
    told against the truth, which the system did not know. A restore to before a release is held to that release's
    roll-out in the same way: its point must lie before the first change was witnessed. Where operations were sent
    again, those that the restore had lost are told, and what is still missing.

    Of several tries to restore one backup the last one counts; those before it that failed are told.

    fail: the restore did not come about, its proof differs, its point lies after the damage, or the books do not
    balance. unknown: there is no surviving ledger to judge, or it holds nothing; the proof is the count or digest of
    nothing; or damage that nobody witnessed may lie before the point. Not exercised: nobody tried to restore.
    """

    def judge(self, history: History, measurements: Measurements) -> Verdict:
        """One verdict over the last restore of each backup."""
        name = "restored-from-backup"
        measurements = _of_rows(history, measurements)
        tried = _tried(history)
        if not tried:
            why = "not exercised: nothing was restored"
            return Verdict(name=name, outcome="unknown", exercised=False, reason=why)
        failed = [e for e in history.events if e.kind == "response.failed" and e.data["step"] in tried]
        done = [e for e in _facts(history, "restored") if e.data["step"] in tried]
        events = tuple(e.n for e in (*failed, *done))
        if (reason := _not_restored(history, tried, failed, done)) is not None:
            return Verdict(name=name, outcome="fail", reason=reason, events=events)
        # Of each backup the last restore: another database that came back right makes none of this one's right.
        lasts = list({e.data.get("backup"): e for e in done}.values())
        if wrong := [found for one in lasts if (found := _wrong(one, measurements)) is not None]:
            gravest = min(wrong, key=lambda found: ("fail", "unknown").index(found.outcome))
            return gravest.model_copy(update={"name": name, "events": events})
        if (unsound := _books(measurements)) is not None:
            return unsound.model_copy(update={"name": name, "events": events})
        return Verdict(
            name=name,
            outcome="pass",
            reason="; ".join(_in_words(one, measurements) for one in lasts),
            events=events,
            details=(
                *(f"tried before, and failed: {e.data['error']}" for e in failed),
                *_parts(history, set(tried)),
                *_lost(history, measurements),
            ),
        )


def _of_rows(history: History, measurements: Measurements) -> Measurements:
    """Without the mistakes that made no row wrong."""
    pushed = pushed_settings(history)
    faults = tuple(one for one in measurements.faults if one.step not in pushed)
    return measurements.model_copy(update={"faults": faults})


def _tried(history: History) -> dict[str, str | None]:
    """The steps that began to restore, in their order, and the backup that each means; None: the only one."""
    named = {step.id: step.params.get("backup") for step in history.plan.steps}
    alone = next(iter(history.plan.system.backups), None)
    return {
        str(e.data["step"]): named.get(str(e.data["step"])) or alone
        for e in history.events
        if e.kind == "response.begin" and e.data.get("name") == "restore-backup"
    }


def _not_restored(
    history: History, tried: Mapping[str, str | None], failed: Sequence[Event], done: Sequence[Event]
) -> str | None:
    """Why a backup's last restore did not come about; None: each did.

    A try that failed may be made good by a later one; of one that did not end nobody knows what it still did.
    """
    errors = {str(e.data["step"]): str(e.data["error"]) for e in failed}
    ended = {*errors, *(str(e.data["step"]) for e in done)}
    lasts = {backup: step for step, backup in tried.items()}
    if wrong := [errors[step] for step in lasts.values() if step in errors]:
        return wrong[-1]
    return None if ended >= set(tried) else "the restore was not finished"


def _wrong(last: Event, measurements: Measurements) -> Verdict | None:
    """What keeps one restore from being known to be what was there before the damage; None: nothing."""
    proof, at = str(last.data["proof"]), last.data["at_ns"]
    if last.data["proof"] != last.data["expected"]:
        reason = f"the restored database says {last.data['proof']}, not {last.data['expected']}"
        return Verdict(name="", outcome="fail", reason=reason)
    if proof.removeprefix("\\x") in _NOTHING or proof.startswith("0:"):
        reason = f"the proof covers nothing ({last.data['proof']!r}): an empty database would have passed it"
        return Verdict(name="", outcome="unknown", reason=reason)
    damage = _damage(measurements, last)
    if late := [one for one in damage if one.hi is not None and at > one.hi]:
        reason = f"the restore point lies after the damage by {late[0].step} was seen"
        return Verdict(name="", outcome="fail", reason=reason)
    if unsure := [one for one in damage if one.hi is None and at > one.lo]:
        reason = f"nobody witnessed {unsure[0].step}, so that its damage may lie before the restore point"
        return Verdict(name="", outcome="unknown", reason=reason)
    return None


def _in_words(last: Event, measurements: Measurements) -> str:
    damage, took = _damage(measurements, last), last.data["after_ms"] / 1000
    return f"{_count(last)} in {took:.1f} s to {last.data['lsn']}{_error(last, damage)}"


def _books(measurements: Measurements) -> Verdict | None:
    """What keeps the books from being known to balance; None: nothing."""
    books = measurements.books.values()
    if problems := tuple(p for b in books for p in b.problems):
        return Verdict(name="", outcome="unknown", reason=problems[0], details=problems)
    if not any(b.counts.get("entries") or b.counts.get("transactions") for b in books):
        return Verdict(
            name="", outcome="unknown", reason="restored, and no books were collected that hold anything"
        )
    if broken := [v for b in books for v in b.broken(*RULES)]:
        reason = (
            f"restored, and the books do not balance: {', '.join(f'{v.count} × {v.rule}' for v in broken)}"
        )
        return Verdict(name="", outcome="fail", reason=reason)
    return None


def _facts(history: History, *names: str) -> list[Event]:
    return [e for e in history.events if e.kind == "response.fact" and e.data.get("fact") in names]


def _damage(measurements: Measurements, last: Event) -> list[FaultMeasure]:
    """What the point must lie before: damage to that database, or where a release was undone, its latest roll-out."""
    release, service = last.data.get("before"), last.data.get("service")
    if release is None:
        return [
            one
            for one in measurements.faults
            if one.name.startswith(ATTACKS)
            and one.name not in _NO_DAMAGE
            and not (one.name in _OF_ONE and service is not None and one.target != service)
        ]
    return [one for one in measurements.faults if (one.name, one.target) == (ROLL_OUT, release)][-1:]


def _count(restored: Event) -> str:
    entries, colon, _ = str(restored.data["proof"]).partition(":")
    known = f"{entries} entries " if colon and entries.isdecimal() else ""
    return (
        f"restored with the same digest of the {known}from before" if known else "restored as it was before"
    )


def _error(restored: Event, damage: list[FaultMeasure]) -> str:
    if not damage:
        return ""
    first = min(damage, key=lambda one: one.lo)
    at = restored.data["at_ns"]
    if first.name == ROLL_OUT:
        seen = f", {(first.hi - at) / 1e9:.2f} s before its first change was seen" if first.hi else ""
        return f", noted before {first.target} was rolled out{seen}"
    if at > first.lo:
        return ", not known to be before the first damage, which was not seen at once"
    least = (first.lo - at) / 1e9
    if first.hi is None:
        return f", at least {least:.2f} s before the first damage"
    return f", {least:.2f} – {(first.hi - at) / 1e9:.2f} s before the first damage"


def _lost(history: History, measurements: Measurements) -> list[str]:
    """Loss before and after the system sent again what it had accepted."""
    sent = _facts(history, "resubmitted")
    if not sent:
        return ["nothing was sent again: what was accepted after the restore point is lost"]
    again = [key for event in sent for key in event.data["resubmitted"]]
    refused = [key for event in sent for key in event.data["refused"]]
    settled = {*again, *refused, *(key for event in sent for key in event.data.get("replayed") or ())}
    doubt = dict.fromkeys(key for event in sent for key in event.data.get("unknown") or ())
    open_ = [key for key in doubt if key not in settled]
    amounts = {o.key: (o.amount, o.currency) for o in history.operations if o.amount is not None}
    sums: dict[str, int] = {}
    for amount, currency in (amounts[key] for key in again if key in amounts):
        sums[currency or ""] = sums.get(currency or "", 0) + (amount or 0)
    worth = " and ".join(f"{_decimal(minor)} {currency}".rstrip() for currency, minor in sorted(sums.items()))
    after = sum(len(loss.lost) for loss in measurements.losses.values())
    told = f"lost by the restore: {len(again) + len(refused) + len(open_)} accepted operations"
    told += f", {worth or len(again)} of them sent again by key" if again else ""
    lines = [told, f"lost after they were sent again: {after}"]
    lines += [
        f"sent again: {key} {_decimal(amounts[key][0] or 0) if key in amounts else ''}".rstrip()
        for key in again
    ]
    lines += [f"refused when it was sent again: {key}" for key in refused]
    return lines + [f"in doubt when it was sent again: {key}" for key in open_]


def _parts(history: History, tried: set[str]) -> list[str]:
    """Where the time went."""
    lines = []
    for event in _facts(history, "backup-verified", "verified", "laid", "recovered", "restored"):
        fact = event.data["fact"]
        if fact == "backup-verified":
            when = "sound" if event.data["sound"] else "not sound"
            lines.append(f"looked at before: {when}, its log {event.data['age_s']:.1f} s old")
        elif event.data["step"] in tried:
            lines.append(f"{fact} after {event.data['after_ms'] / 1000:.2f} s")
        if fact == "verified":
            size = event.data["bytes"] / 1e6
            lines.append(
                f"the backup: {event.data['files']} files, {size:.0f} MB, every checksum right, log "
                f"{event.data['age_s']:.1f} s old"
            )
    return lines


def _decimal(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"
