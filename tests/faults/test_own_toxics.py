"""Faults of different kinds may lie on one link: the end of one takes none of the other's away."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chaoskit.faults.host_loss import HostLoss
from chaoskit.faults.link_timeout import LinkTimeout
from chaoskit.model.estate import Estate
from chaoskit.model.lease import ToxicUndo, Undo
from chaoskit.model.system import Link

WAY = Link(caller="ledger", callee="db")


def taken_off(undo: Undo) -> set[tuple[str, str]]:
    return {(one.link, one.toxic) for one in undo.steps if isinstance(one, ToxicUndo)}


@pytest.mark.parametrize("direction", ["both", "requests", "answers"])
def test_a_host_that_comes_back_ends_no_timeout_on_its_links(direction: Any) -> None:
    """`link.timeout` goes on by the drill: customers who are well again would have recovered by the wrong hand."""
    system = SimpleNamespace(links=(WAY,))
    estate = cast(Estate, SimpleNamespace(plan=SimpleNamespace(system=system), capabilities=frozenset()))
    lost = taken_off(asyncio.run(HostLoss().undo("ledger", estate)))
    timed_out = taken_off(asyncio.run(LinkTimeout(direction=direction).undo(WAY.name, estate)))
    assert lost
    assert timed_out
    assert not lost & timed_out
