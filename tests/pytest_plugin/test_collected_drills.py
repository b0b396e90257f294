"""Drill files as pytest items: how they are collected, selected, judged and reported. Their runs are staged."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import scipy.special  # noqa: F401 - a series loads it inside of a session in here, and it can be loaded only once

from chaoskit.errors import EnvironmentBroken
from chaoskit.pytest_plugin.running import refuse
from tests.pytest_plugin import staged_runs
from tests.pytest_plugin.staged_runs import RTO_PLACE, drill, write

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
CONFTEST = """\
from chaoskit import pipeline
from tests.pytest_plugin import staged_runs
pipeline.run = staged_runs.run
"""


@pytest.fixture
def staged(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with the system's files; drills there have the outcome that their title says."""
    monkeypatch.setattr("chaoskit.pipeline.run", staged_runs.run)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    write(pytester.path)
    return pytester


def pytest_in(place: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return place.runpytest_inprocess("-p", "no:randomly", *arguments)


def test_an_item_for_each_cell_of_the_matrix(staged: pytest.Pytester) -> None:
    write(staged.path, one=drill(), many=drill("many", more="matrix: {seed: [1, 2, 3]}\n"))
    result = pytest_in(staged, "--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "many.yaml::many[[]seed=1]",
            "many.yaml::many[[]seed=2]",
            "many.yaml::many[[]seed=3]",
            "one.yaml::shop-crash",
        ]
    )
    pytest_in(staged, "-v").assert_outcomes(passed=4)
    pytest_in(staged, "many.yaml::many[seed=2]").assert_outcomes(passed=1)


def test_a_tag_that_begins_with_no_letter_is_a_mark_without_it(staged: pytest.Pytester) -> None:
    """pytest has no marks that begin with an underscore; a drill that could not be collected would not be run."""
    write(staged.path, a=drill("a", tags="'#S12', _own, '--', '(x) y'"), b=drill("b"))
    strict = ("--strict-markers",)
    for mark in ("S12", "own", "x_y"):
        pytest_in(staged, *strict, "-m", mark).assert_outcomes(passed=1, deselected=1)
    pytest_in(staged).assert_outcomes(passed=2)


def test_selected_by_name_and_by_tag_also_with_strict_markers(staged: pytest.Pytester) -> None:
    write(staged.path, a=drill("a", tags="server, S1"), b=drill("b", tags="attack, fast-one"))
    strict = ("--strict-markers",)
    pytest_in(staged, *strict).assert_outcomes(passed=2)
    pytest_in(staged, *strict, "-k", "b").assert_outcomes(passed=1, deselected=1)
    pytest_in(staged, *strict, "-m", "S1").assert_outcomes(passed=1, deselected=1)
    pytest_in(staged, *strict, "-m", "fast_one").assert_outcomes(passed=1, deselected=1)
    pytest_in(staged, *strict, "-m", "chaos and not server").assert_outcomes(passed=1, deselected=1)


def test_a_tag_that_is_a_mark_of_pytest_changes_nothing(staged: pytest.Pytester) -> None:
    write(staged.path, a=drill("a", "fail", tags="skip, xfail, parametrize, usefixtures"))
    pytest_in(staged).assert_outcomes(failed=1)


def test_a_tag_that_is_a_mark_of_a_plugin_makes_no_second_try(staged: pytest.Pytester) -> None:
    """pytest-rerunfailures runs what is marked `flaky` until it passes, which would be best of n."""
    staged.makeconftest(
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        assert not set(mark.name for mark in item.iter_markers()) & {'flaky', 'repeat'}\n"
        "        assert item.get_closest_marker('drill').args == ('a',)\n"
    )
    write(staged.path, a=drill("a", "fail", tags="flaky, repeat, drill, chaos"))
    pytest_in(staged).assert_outcomes(failed=1)


def test_outcomes(staged: pytest.Pytester) -> None:
    expect = "expect: {fail: visit.rto}\n"
    write(
        staged.path,
        a_pass=drill("a"),
        b_fail=drill("b", "fail"),
        c_unknown=drill("c", "unknown"),
        d_aborted=drill("d", "aborted"),
        e_as_expected=drill("e", "expected-fail", more=expect),
    )
    result = pytest_in(staged)
    result.assert_outcomes(passed=2, failed=1, errors=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("outcome", ["fail", "unknown", "aborted"])
def test_a_failure_is_the_scorecard_headed_by_the_yaml_line(staged: pytest.Pytester, outcome: str) -> None:
    write(staged.path, shop=drill(title=outcome))
    text = pytest_in(staged).stdout.str()
    line, column = RTO_PLACE
    assert f"shop.yaml:{line}:{column}: {outcome}: recovered after 4.18 – 4.29 s" in text
    assert f"shop-crash: {outcome} (machine 4.18 – 4.29 s) · reports{os.sep}staged-0/" in text
    assert "Traceback" not in text
    assert not [one for one in text.splitlines() if one.startswith("E ") or ".py:" in one]


def test_a_green_drill_that_should_have_failed_points_at_expect(staged: pytest.Pytester) -> None:
    write(staged.path, shop=drill(title="fail", more="expect: {fail: visit.rto}\n"))
    text = pytest_in(staged).stdout.str()
    assert "shop.yaml:13:9: fail" in text
    assert "but expected was fail: visit.rto" in text


def test_x_stops_and_lf_repeats_what_was_not_green(staged: pytest.Pytester) -> None:
    write(staged.path, a=drill("a", "unknown"), b=drill("b", "pass"), c=drill("c", "fail"))
    pytest_in(staged, "-x").assert_outcomes(errors=1)
    pytest_in(staged).assert_outcomes(passed=1, failed=1, errors=1)
    pytest_in(staged, "--lf").assert_outcomes(failed=1, errors=1)


@pytest.mark.parametrize("outcome", ["fail", "unknown"])
def test_lf_repeats_the_cell_that_was_not_green(staged: pytest.Pytester, outcome: str) -> None:
    """Beside another that was not: with nothing that it knows of, pytest runs everything."""
    cells = f"matrix: {{title: [pass, {outcome}]}}\n"
    write(staged.path, many=drill("many", more=cells), other=drill("other", outcome))
    pytest_in(staged)
    write(staged.path, other=drill("other", "pass"))
    counts = {"failed": 1} if outcome == "fail" else {"errors": 1}
    pytest_in(staged, "--lf").assert_outcomes(passed=1, **counts)


def test_cells_whose_long_names_begin_alike_are_told_apart(staged: pytest.Pytester) -> None:
    """`--lf` goes by names: by one name for two cells, the one that passes would clear the one that failed."""
    cells = f"matrix: {{why: [{'x' * 150}], title: [fail, pass]}}\n"
    write(staged.path, many=drill("many", more=cells), other=drill("other", "fail"))
    pytest_in(staged).assert_outcomes(failed=2, passed=1)
    pytest_in(staged, "--lf").assert_outcomes(failed=2)


def test_a_series_with_a_run_that_vanished_has_no_answer(
    staged: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen of it while it was made is not what is published of it."""
    monkeypatch.setattr("chaoskit.pipeline.run_plan", staged_runs.run_plan)
    write(staged.path, a=drill("a", more="repeat: {runs: 3}\n"))
    pytest_in(staged).assert_outcomes(passed=1)
    write(staged.path, a=drill("b", "pass vanishing", more="repeat: {runs: 3}\n"))
    result = pytest_in(staged)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*a.yaml:1:8: unknown: 0/3 met*missing: run 1, 2, 3 of 3*"])
    write(staged.path, a=drill("c", "fail", more="repeat: {runs: 3}\n"))
    pytest_in(staged, "--junitxml=x.xml").assert_outcomes(failed=1)
    assert "0/3 met" in staged.path.joinpath("x.xml").read_text("utf-8")


def test_junit_carries_properties_and_survives_hostile_text(staged: pytest.Pytester) -> None:
    write(staged.path, shop=drill(title='"fail \\e[31m\\u202e\\0 <&>]]>"'))
    result = pytest_in(staged, "--junitxml=out.xml")
    assert "\x1b" not in result.stdout.str()
    assert "\u202e" not in result.stdout.str()
    case = ElementTree.parse(staged.path / "out.xml").find(".//testcase")
    assert case is not None
    properties = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert properties["drill"] == "shop-crash"
    assert properties["outcome"] == "fail"
    assert (properties["visit.rta_lower_s"], properties["visit.rta_upper_s"]) == ("4.18", "4.29")
    assert properties["run_folder"] == str(staged.path / "reports" / "staged-0")
    failure = case.find("failure")
    assert failure is not None
    assert failure.text is not None
    assert failure.text.startswith("shop.yaml:")


def test_junit_of_the_most_hostile_names(staged: pytest.Pytester) -> None:
    """Control, direction, markup, a formula, no end: in the title, which comes into the reason, and in the failure."""
    rubbish = r"\e[31m\x9b2J\u202e\u2066\u061c\0<script>alert(1)</script>=HYPERLINK(1)"
    write(staged.path, shop=drill(title=f'"fail {rubbish}"'))
    pytest_in(staged, "--junitxml=out.xml")
    failure = harmless_junit(staged.path / "out.xml").find(".//failure")
    assert failure is not None
    assert failure.text is not None
    assert "<script>alert(1)</script>=HYPERLINK(1)" in failure.text, "data all the same"
    write(staged.path, shop=drill(name=f'"{rubbish}{"x" * 20_000}"', title="pass"))
    pytest_in(staged, "--junitxml=out.xml")
    error = harmless_junit(staged.path / "out.xml").find(".//error")
    assert error is not None
    assert "shop.yaml:1:8" in (error.text or "")


def harmless_junit(path: Path) -> ElementTree.Element:
    """The parsed file, after a look at its text as a terminal, an editor or a browser would take it."""
    raw = path.read_text("utf-8")
    assert [char for char in raw if not char.isprintable() and char not in "\n\t"] == []
    assert "<script" not in raw
    assert max(map(len, raw.splitlines())) < 12_000
    return ElementTree.fromstring(raw)


def test_two_workers(staged: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    staged.makeconftest(CONFTEST)
    write(
        staged.path,
        many=drill("many", "pass", more="matrix: {seed: [1, 2, 3, 4]}\n"),
        bad=drill("bad", "fail"),
    )
    result = staged.runpytest_subprocess("-n", "2", "-p", "no:randomly", timeout=180)
    result.assert_outcomes(passed=4, failed=1)


def test_a_broken_drill_is_a_collection_error_with_every_place(staged: pytest.Pytester) -> None:
    text = drill().replace("on: web}\n  -", "on: wbe}\n  -").replace("rto: 20s", "rto: soon")
    write(staged.path, broken=text, fine=drill())
    result = pytest_in(staged)
    shown = result.stdout.str()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "broken.yaml:8:39: " in shown
    assert "web" in shown
    assert "broken.yaml:11:16: " in shown
    assert "Traceback" not in shown
    assert ".py:" not in shown
    pytest_in(staged, "--continue-on-collection-errors").assert_outcomes(passed=1, errors=1)


def test_yaml_that_is_no_drill_is_left_alone(staged: pytest.Pytester) -> None:
    (staged.path / "values.yaml").write_text("nested:\n  drill: not at the top\n")
    (staged.path / "broken.yml").write_text("{[\n")
    (staged.path / "empty.yaml").write_text("")
    (staged.path / "binary.yaml").write_bytes(bytes(range(256)))
    os.mkfifo(staged.path / "pipe.yaml")
    assert pytest_in(staged).ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_an_unknown_runtime_is_refused_before_anything_runs(staged: pytest.Pytester) -> None:
    write(staged.path, shop=drill())
    result = pytest_in(staged, "--chaos-runtime", "mainframe")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--chaos-runtime mainframe: no such runtime; known: local*"])


def test_what_cannot_run_is_told_once() -> None:
    def told() -> None:
        try:
            raise EnvironmentBroken("no room")
        except EnvironmentBroken as error:
            refuse(error)

    with pytest.raises(pytest.fail.Exception, match="no room") as caught:
        told()
    assert caught.value.__suppress_context__


def test_an_interrupted_drill_ends_the_session(staged: pytest.Pytester) -> None:
    write(staged.path, a=drill("a", "interrupted"), b=drill("b"))
    # Within this process pytester would take the interruption for its own.
    staged.makeconftest(CONFTEST)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:randomly", "-v"],
        cwd=staged.path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout + done.stderr
    assert "b.yaml" not in done.stdout
    assert "interrupted and has healed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_without_the_plugin_nothing_of_it_is_there(staged: pytest.Pytester) -> None:
    write(staged.path, shop=drill())
    staged.makepyfile("def test_one(): pass")
    result = staged.runpytest_subprocess("-p", "no:chaoskit")
    result.assert_outcomes(passed=1)


def test_a_session_without_drills_does_not_pay_for_the_framework(staged: pytest.Pytester) -> None:
    staged.makepyfile(
        """
        import sys
        def test_one():
            loaded = [name for name in sys.modules if name.startswith("chaoskit.")]
            # To tell a drill from other YAML files takes one module, which imports nothing of the framework.
            own = [name for name in loaded if name != "chaoskit.drill_files"]
            assert all(name.startswith("chaoskit.pytest_plugin") for name in own), loaded
        """
    )
    staged.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1)
