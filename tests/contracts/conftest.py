"""Estates for the contracts of members."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.bench_estate import Bench, template


@pytest.fixture(scope="session")
def database_template() -> Iterator[Path]:
    yield from template()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Nothing started yet."""
    estate = Bench()
    yield estate
    estate.close()


@pytest.fixture
def bank(bench: Bench, database_template: Path) -> Bench:
    """The pair, replicating through its link."""
    bench.start_pair(database_template)
    return bench


@pytest.fixture
def web(bench: Bench) -> Bench:
    """The HTTP service and its customers' link."""
    bench.start_web()
    bench.open_link("customers -> web")
    return bench


@pytest.fixture(scope="module")
def whole_web() -> Iterator[Bench]:
    """An HTTP service shared by tests that leave it whole."""
    estate = Bench()
    estate.start_web()
    estate.open_link("customers -> web")
    yield estate
    estate.close()


@pytest.fixture(scope="module")
def whole_bank(database_template: Path) -> Iterator[Bench]:
    """The pair, shared by tests that leave it whole."""
    estate = Bench()
    estate.start_pair(database_template)
    yield estate
    estate.close()
