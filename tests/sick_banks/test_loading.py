"""A sick bank is the reference bank and its patch, no more: every patch applies and is small; others are refused."""

from __future__ import annotations

import filecmp
from pathlib import Path

import pytest

from tests.sick_banks.loading import (
    BANK,
    LINES_MAX,
    SICK_BANKS,
    PatchRefused,
    all_banks,
    apply,
    make,
    read_bank,
)

BANKS = [bank.name for bank in all_banks()]
PATCH = """\
--- a/one.txt
+++ b/one.txt
@@ -1,3 +1,3 @@
 first
-second
+other
 third
"""


@pytest.mark.parametrize("name", BANKS)
def test_patch_applies_to_the_bank_as_it_is_and_changes_no_more_than_it_says(
    name: str, tmp_path: Path
) -> None:
    bank = read_bank(name)
    make(bank, tmp_path)
    named = {
        line.split("\t")[0].removeprefix("+++ b/")
        for line in bank.patch.splitlines()
        if line.startswith("+++ ")
    }
    copies = [path for path in (tmp_path / "bank").rglob("*") if path.is_file()]
    changed = {
        str(path.relative_to(tmp_path / "bank"))
        for path in copies
        if not filecmp.cmp(path, BANK / path.relative_to(tmp_path / "bank"), shallow=False)
    }
    assert changed == named
    assert len(bank.patch.splitlines()) <= LINES_MAX
    assert bank.bug


def test_every_folder_is_a_bank() -> None:
    folders = {path.name for path in SICK_BANKS.iterdir() if path.is_dir()} - {"drills"}
    assert folders == set(BANKS)


def test_patch_replaces_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("zeroth\nfirst\nsecond\nthird\n")
    apply(PATCH, tmp_path)
    assert (tmp_path / "one.txt").read_text() == "zeroth\nfirst\nother\nthird\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("first\nanother\nthird\n", "0 times"),
        ("first\nsecond\nthird\nfirst\nsecond\nthird\n", "2 times"),
        ("not first\nsecond\nthird\n", "0 times"),
    ],
)
def test_patch_that_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "one.txt").write_text(text)
    with pytest.raises(PatchRefused, match=why):
        apply(PATCH, tmp_path)
    assert (tmp_path / "one.txt").read_text() == text


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ("", "changes nothing"),
        ("--- a/one.txt\n+++ b/one.txt\n@@ -1,1 +1,1 @@\n first\n", "changes nothing"),
        (PATCH.replace("one.txt", "gone.txt"), "no such file"),
        (PATCH.replace("-second", "second"), "neither header"),
        ("@@ -1,1 +1,1 @@\n-first\n+other\n", "before any file"),
    ],
)
def test_patch_that_is_none_is_refused(tmp_path: Path, patch: str, why: str) -> None:
    (tmp_path / "one.txt").write_text("first\nsecond\nthird\n")
    with pytest.raises(PatchRefused, match=why):
        apply(patch, tmp_path)
