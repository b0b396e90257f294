"""Variants: parts of a system laid over it, each mistake told where it is written, and what a drill expects of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit import spec
from chaoskit.errors import InputError
from chaoskit.model.drill import Expect
from chaoskit.spec import Loaded
from tests.spec import sample_files
from tests.spec.fake_members import FakeRegistry

VARIANTS = """\
variants:
  fast:
    compose: [fast.yaml, faster.yaml]
    sites: {south: [db2]}
    links: [app -> cache]
    journeys: {balance: {good: {within: 2s}}}
    local:
      app: {environment: {SPEED: fast}}
      cache: {run: python -m cache}
"""
FASTER = "services: {cache: {image: 'cache:1', expose: [6379]}, app: {environment: [SPEED=faster]}}\n"
PAIR = (
    sample_files.DRILL
    + "matrix: {variant: [slow, fast]}\nexpect:\n  slow: {fail: transfer.rto}\n  fast: pass\n"
)


def load(
    folder: Path, variants: str = VARIANTS, drill: str = sample_files.DRILL + "variant: fast\n"
) -> Loaded:
    system = sample_files.SYSTEM.replace("variants: {fast: {compose: fast.yaml}}\n", variants)
    path = sample_files.write(folder, system=system, drill=drill, faster=FASTER)
    return spec.load(path, FakeRegistry(), {})


def test_maps_are_merged_links_added_and_anything_else_replaced(tmp_path: Path) -> None:
    system = load(tmp_path).system
    assert [link.name for link in system.links] == [
        "customers -> app",
        "app -> db",
        "app -> db2",
        "db2 -> db",
        "app -> cache",
    ]
    assert system.sites == {"north": ("db", "app"), "south": ("db2",)}
    balance = system.journeys["balance"].good
    assert (str(balance.within), balance.status) == ("2s", (200, 203))
    assert system.local["app"].environment == {"LISTEN_HOST": "{address}", "SPEED": "fast"}
    assert system.local["app"].run == "python -m app"
    assert system.local["cache"].run == "python -m cache"
    assert system.services["app"].environment["SPEED"] == "faster"
    assert (system.variant, system.services["cache"].image) == ("fast", "cache:1")


def test_links_can_be_taken_away_and_the_others_keep_their_places(tmp_path: Path) -> None:
    variants = VARIANTS.replace("links: [", "without-links: [app->db2]\n    links: [")
    system = load(tmp_path, variants).system
    assert [link.name for link in system.links] == [
        "customers -> app",
        "app -> db",
        "db2 -> db",
        "app -> cache",
    ]
    with pytest.raises(InputError) as caught:
        load(tmp_path, variants.replace("app->db2", "app -> bd2").replace("app -> cache", "app -> cach"))
    said = [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    assert any(
        one.startswith("system.yaml:7:21: the system has no link 'app -> bd2'") and "app -> db2" in one
        for one in said
    ), said
    assert any(one.startswith("system.yaml:8:13: no service is called 'cach'") for one in said), said


def test_without_the_variant_nothing_of_it_is_there(tmp_path: Path) -> None:
    system = load(tmp_path, drill=sample_files.DRILL).system
    assert "cache" not in system.services
    assert len(system.links) == 4
    assert str(system.journeys["balance"].good.within) == "1s"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("app -> cache", "app -> cach", "system.yaml:7:13: no service is called 'cach'"),
        ("app -> cache", "app -> db", "system.yaml:7:13: the link 'app -> db' is declared twice"),
        ("[db2]", "[db]", "system.yaml:6:21: 'db' already stands in the site `north`"),
        ("within: 2s", "within: 2x", "system.yaml:8:41: `within`: "),
        ("faster.yaml", "fastest.yaml", "system.yaml:5:26: 'fastest.yaml': no such Compose file"),
        ("cache: {run: python -m cache}", "cach: {run: x}", "system.yaml:11:7: no service is called 'cach'"),
        ("sites:", "site:", "system.yaml:6:5: unknown key `site`"),
    ],
)
def test_a_mistake_in_a_variant_is_told_where_it_is_written(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in VARIANTS
    with pytest.raises(InputError) as caught:
        load(tmp_path, VARIANTS.replace(old, new))
    said = [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    assert any(one.startswith(says) for one in said), "\n".join(said)


def test_a_pair_is_one_drill_with_an_outcome_for_each_variant(tmp_path: Path) -> None:
    variants = VARIANTS + "  slow: {}\n"
    cells = spec.cells(load(tmp_path, variants, PAIR))
    assert [(name, cell.system.variant, cell.drill.expect) for name, cell in cells] == [
        ("variant=slow", "slow", Expect(fail=("transfer.rto",))),
        ("variant=fast", "fast", "pass"),
    ]
    slow, fast = (cell.drill.model_dump(exclude={"variant", "expect"}) for _, cell in cells)
    assert slow == fast


def test_a_pair_may_break_what_only_its_variants_have(tmp_path: Path) -> None:
    drill = PAIR.replace("    on: db\n", "    on: cache\n").replace("[slow, fast]", "[fast]")
    drill = drill.replace("  slow: {fail: transfer.rto}\n", "")
    assert spec.cells(load(tmp_path, drill=drill))[0][1].drill.timeline[0].on == ("cache",)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("  fast: pass\n", "", "`expect` says nothing of the variant 'fast'"),
        ("  fast: pass\n", "  fast: fail\n", "`expect`: 'fail' is not allowed"),
        (
            "fail: transfer.rto",
            "fail: transfer.rta",
            "21:16: 'transfer.rta' is neither an objective nor a check",
        ),
        ("[slow, fast]", "[slw, fast]", "19:20: the system has no variant 'slw'"),
    ],
)
def test_a_mistake_in_a_pair(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in PAIR
    with pytest.raises(InputError) as caught:
        spec.cells(load(tmp_path, VARIANTS + "  slow: {}\n", PAIR.replace(old, new)))
    assert any(says in str(problem) for problem in caught.value.problems), str(caught.value)
