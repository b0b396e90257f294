"""Members are built from parameters as drills and plan.json hold them."""

from __future__ import annotations

import pytest

from chaoskit.model.parameters import build, field_names
from tests.spec.fake_members import Latency


def test_names_are_kebab_case() -> None:
    assert field_names(Latency) == {"latency": "latency", "jitter": "jitter", "stream-side": "stream_side"}


@pytest.mark.parametrize("key", ["stream-side", "stream_side"])
def test_a_member_is_built_from_either_spelling(key: str) -> None:
    built = build(Latency, {"latency": "1s", key: "down"})
    assert (built.latency.ns, built.stream_side, built.jitter) == (10**9, "down", None)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "latency"),
        ({"latency": 3}, "no duration"),
        ({"latency": "1s", "x": 1}, "unknown parameter 'x'; known: latency"),
    ],
)
def test_unfit_parameters_are_refused(params: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build(Latency, params)
