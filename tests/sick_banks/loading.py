"""Makes a sick bank: a copy of the reference bank with one small patch, which must apply exactly or is refused.

fixtures/bank ──copy──► bank/ ──bug.patch──► the sick bank
fixtures/sick_banks/drills ──► sick_banks/drills/*.yaml     they name ../../bank/system.yaml: there, the sick one
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
BANK = ROOT / "fixtures" / "bank"
SICK_BANKS = ROOT / "fixtures" / "sick_banks"
DRILLS = SICK_BANKS / "drills"
LINES_MAX = 30
"""A patch that needs more is no longer one bug; headers and context are counted too."""

_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@.*")


class PatchRefused(Exception):
    """The patch does not fit the bank as it is now; says which part of which file."""


@dataclass(frozen=True)
class Caught:
    """By what a sick bank must be caught: this check must fail, and one of its cases must be of this kind.

    `by` is what the check calls it: `lost`, or the name of a rule.
    """

    check: str
    by: str


@dataclass(frozen=True)
class SickBank:
    """One bank with one bug."""

    name: str
    bug: str
    drill: str
    caught: Caught

    @property
    def patch(self) -> str:
        return (SICK_BANKS / self.name / "bug.patch").read_text(encoding="utf-8")


def read_bank(name: str) -> SickBank:
    """The bank of that folder; raises ValueError for a sick.yaml with other keys than these."""
    path = SICK_BANKS / name / "sick.yaml"
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    if set(said) != {"bank", "bug", "drill", "caught"} or set(said["caught"]) != {"check", "by"}:
        raise ValueError(f"{path}: needs bank, bug, drill and caught: {{check, by}}, and nothing else")
    if said["bank"] != name or not (DRILLS / said["drill"]).is_file():
        raise ValueError(f"{path}: bank must be {name!r}, and drill a file of {DRILLS.name}/")
    return SickBank(name, " ".join(said["bug"].split()), said["drill"], Caught(**said["caught"]))


def all_banks() -> list[SickBank]:
    """Every sick bank, by name."""
    return [read_bank(path.parent.name) for path in sorted(SICK_BANKS.glob("*/sick.yaml"))]


def make(bank: SickBank | None, folder: Path, cure: tuple[str, str] | None = None) -> Path:
    """Copy the bank and the drills below `folder`, patched if it is a sick one; returns the folder of the drills.

    `cure`: text of the patch that is replaced, so that the same change is made without its bug.
    """
    shutil.copytree(
        BANK,
        folder / "bank",
        ignore=shutil.ignore_patterns("tests", "__pycache__", "wheels", ".pytest_cache"),
    )
    drills = folder / "sick_banks" / "drills"
    shutil.copytree(DRILLS, drills)
    if bank is not None:
        patch = bank.patch
        if cure is not None:
            if patch.count(cure[0]) != 1:
                raise PatchRefused(
                    f"the cure does not fit: {cure[0]!r} stands there {patch.count(cure[0])} times"
                )
            patch = patch.replace(*cure)
        apply(patch, folder / "bank")
    return drills


def apply(patch: str, folder: Path) -> None:
    """Apply a unified diff. PatchRefused unless each part's old lines stand in its file exactly once: what was true of
    the bank when the bug was written must be true of it now, and a patch must not land anywhere else."""
    target: Path | None = None
    hunks: list[tuple[Path, list[str]]] = []
    for line in patch.splitlines():
        if line.startswith("--- "):
            continue
        if line.startswith("+++ "):
            target = folder / line[4:].split("\t")[0].removeprefix("b/")
        elif _HUNK.fullmatch(line):
            if target is None:
                raise PatchRefused(f"a part stands before any file is named: {line}")
            hunks.append((target, []))
        elif line[:1] in ("+", "-", " ") and hunks:
            hunks[-1][1].append(line)
        else:
            raise PatchRefused(f"neither header, context nor change: {line!r}")
    if not hunks:
        raise PatchRefused("the patch changes nothing")
    for path, lines in hunks:
        _replace(path, lines)


def _replace(path: Path, lines: list[str]) -> None:
    if not path.is_file():
        raise PatchRefused(f"{path.name}: no such file in the bank")
    old = "".join(f"{line[1:]}\n" for line in lines if line[0] != "+")
    new = "".join(f"{line[1:]}\n" for line in lines if line[0] != "-")
    if old == new:
        raise PatchRefused(f"{path.name}: a part that changes nothing")
    text = path.read_text(encoding="utf-8")
    found = [match.start() for match in re.finditer(f"(?m)^{re.escape(old)}", text)]
    if not old or len(found) != 1:
        raise PatchRefused(f"{path.name}: these lines stand there {len(found)} times, not once:\n{old}")
    path.write_text(text[: found[0]] + new + text[found[0] + len(old) :], encoding="utf-8")
