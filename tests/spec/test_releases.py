"""Releases and stop rules: each mistake is told where it is written, and a variant changes them like anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import spec
from chaoskit.errors import InputError
from chaoskit.spec import Loaded
from tests.spec import sample_files
from tests.spec.fake_members import FakeRegistry

RELEASES = """\
releases:
  next:
    version: "2.0"
    services: [app]
    files: files
    environment: {app: {LIMIT: "0"}}
    migration: {on: database, up: entries.sql, down: entries.sql}
stop-rules:
  failing: {journeys: [transfer], below: 90%, for: 3s}
variants:
  bad-day:
    releases: {next: {strategy: all}}
    stop-rules: {failing: {journeys: [transfer, balance], for: 10s}}
"""
DRILL = sample_files.DRILL.replace(
    "    fault: process.kill\n    on: db\n", "    fault: upgrade.roll-out\n    on: next\n"
).replace("{down: db, every: 100ms, misses: 3}", "{stop-rule: failing}")


def load(folder: Path, releases: str = RELEASES, drill: str = DRILL) -> Loaded:
    system = sample_files.SYSTEM.replace("variants: {fast: {compose: fast.yaml}}\n", releases)
    system = system.replace("app: {run: python -m app,", "app: {run: python -m app, path: .,")
    (folder / "files").mkdir()
    return spec.load(sample_files.write(folder, system=system, drill=drill), FakeRegistry(), {})


def test_a_release_and_a_rule_as_they_are_read(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    release, rule = loaded.system.releases["next"], loaded.system.stop_rules["failing"]
    assert (release.strategy, str(release.pause), release.services) == ("one-first", "2s", ("app",))
    assert (release.says.path, release.says.key) == ("/health", "release")
    assert (rule.below.ratio, str(rule.over), str(rule.for_)) == (0.9, "500ms", "3s")
    assert loaded.drill.timeline[0].on == ("next",)
    assert loaded.drill.timeline[1].when is not None
    assert loaded.drill.timeline[1].when.stop_rule == "failing"


def test_a_variant_rolls_out_and_stops_in_another_way(tmp_path: Path) -> None:
    system = load(tmp_path, drill=DRILL + "variant: bad-day\n").system
    assert (system.releases["next"].strategy, system.releases["next"].version) == ("all", "2.0")
    assert system.stop_rules["failing"].journeys == ("transfer", "balance")
    assert str(system.stop_rules["failing"].for_) == "10s"
    assert str(system.stop_rules["failing"].below) == "90%"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("services: [app]", "services: [ap]", "system.yaml:6:16: no service is called 'ap'"),
        ("services: [app]", "services: [app, app]", "system.yaml:6:21: 'app' is named twice"),
        ("services: [app]", "services: [app, db]", "system.yaml:6:21: 'db' is a database's server"),
        ("{app: {LIMIT", "{db: {LIMIT", "system.yaml:8:19: the release does not change `db`"),
        ("files: files", "files: flies", "system.yaml:7:12: 'flies': no such folder"),
        ("files: files", "files: .", "system.yaml:7:12: '.' is the folder of the system itself"),
        ("on: database", "on: data", "system.yaml:9:21: no role is called 'data'"),
        ("down: entries.sql", "down: down.sql", "system.yaml:9:54: 'down.sql': no such script"),
        ('version: "2.0"', "title: x", "system.yaml:5:5: `version` is missing"),
        ("  next:\n", "  app:\n", "system.yaml:4:3: 'app' is a service"),
        ("{journeys: [transfer], below", "{journeys: [transfr], below", "no journey is called 'transfr'"),
        ("below: 90%", "below: 0.9", "system.yaml:11:42: `below`: "),
        ("below: 90%", "below: 0%", "system.yaml:11:42: `below` is 0: no share is less"),
        ("below: 90%", "over: 0s, below: 90%", "`over` is 0"),
        (", for: 3s}\nvariants", ", for: 0s}\nvariants", "`for` is 0"),
        (", for: 3s}\nvariants", "}\nvariants", "system.yaml:11:"),
    ],
)
def test_a_mistake_in_a_release_or_a_rule(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert RELEASES.count(old) == 1
    refused(tmp_path, says, releases=RELEASES.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("on: next", "on: app", "drill.yaml:10:9: no release is called 'app'"),
        ("{stop-rule: failing}", "{stop-rule: fails}", "no stop rule is called 'fails'"),
        ("{stop-rule: failing}", "{stop-rule: failing, misses: 3}", "`misses` belongs to `when: {down: …}`"),
        ("{stop-rule: failing}", "{stop-rule: failing, down: db}", "`when` names exactly one event"),
        (
            "load: {transfer: 40/s, balance: 20/s}",
            "load: {balance: 20/s}",
            "drill.yaml:11:23: nothing drives the journey `transfer`",
        ),
    ],
)
def test_a_mistake_in_a_drill_that_upgrades(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert DRILL.count(old) == 1
    refused(tmp_path, says, drill=DRILL.replace(old, new))


def refused(folder: Path, says: str, releases: str = RELEASES, drill: str = DRILL) -> None:
    with pytest.raises(InputError) as caught:
        load(folder, releases, drill)
    said = [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]
    assert any(says in one for one in said), "\n".join(said)
