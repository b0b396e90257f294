"""Quantities: strict parsing, comparison by value, printed as written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.quantity import Duration, Money, Percent, Rate, Size


@pytest.mark.parametrize(
    ("text", "ns"),
    [("90s", 90 * 10**9), ("1h30m", 5400 * 10**9), ("500ms", 5 * 10**8), ("1.5s", 15 * 10**8), ("0s", 0)],
)
def test_durations(text: str, ns: int) -> None:
    duration = Duration.parse(text)
    assert (duration.ns, str(duration)) == (ns, text)


@pytest.mark.parametrize(
    "text", ["10", "-5s", "5 s", "", "s", "1m1h", "1s1s", "1e3s", "٣s", "400d", "5s\n", "9" * 70 + "s"]
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"no duration|out of order|longer than a year"):
        Duration.parse(text)


def test_they_compare_by_value_and_print_as_written() -> None:
    assert Duration.parse("90s") == Duration.parse("1m30s")
    assert hash(Duration.parse("90s")) == hash(Duration.parse("1m30s"))
    assert Duration.parse("1m") < Duration.parse("90s") <= Duration.parse("1m30s")
    assert str(Duration.parse("90s")) != str(Duration.parse("1m30s"))
    assert Rate.parse("60/m") == Rate.parse("1/s")
    assert Size.parse("1KB") < Size.parse("1KiB")
    assert Money.parse("10 CNY") != Money.parse("10 EUR")
    assert Money.parse("10.00 CNY") == Money.parse("10 CNY")
    assert Duration.parse("1s") != Rate.parse("1/s")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Percent, "100.1%"),
        (Percent, "50"),
        (Percent, "-1%"),
        (Rate, "0/s"),
        (Rate, "40"),
        (Rate, "1/d"),
        (Size, "64"),
        (Size, "64kb"),
        (Money, "10"),
        (Money, "10 cny"),
    ],
)
def test_refused(kind: type[Percent | Rate | Size | Money], text: str) -> None:
    with pytest.raises(ValueError, match=r"write it like|more than 100%|out of range"):
        kind.parse(text)


@given(st.integers(0, 10**16))
def test_a_computed_duration_is_readable(ns: int) -> None:
    assert Duration.of_ns(ns).ns == ns
    assert 1 < len(str(Duration.of_ns(ns))) < 12
