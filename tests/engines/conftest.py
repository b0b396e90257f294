"""A PostgreSQL pair for the engine's own tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.postgresql_pair import Member, copy, make_standby, make_template, own_address, stop


@pytest.fixture(scope="session")
def database_template() -> Iterator[Path]:
    data = make_template()
    yield data
    shutil.rmtree(data.parent)


@pytest.fixture
def primary(database_template: Path) -> Iterator[Member]:
    member = Member.start(copy(database_template, "primary"), own_address())
    yield member
    stop(member)


@pytest.fixture
def standby(database_template: Path, primary: Member) -> Iterator[Member]:
    data = copy(database_template, "standby")
    make_standby(data, primary.address)
    member = Member.start(data, own_address())
    member.await_streaming()
    yield member
    stop(member)


@pytest.fixture(scope="module")
def whole_primary(database_template: Path) -> Iterator[Member]:
    """A primary shared by tests that leave it as it was."""
    member = Member.start(copy(database_template, "primary"), own_address())
    yield member
    stop(member)
