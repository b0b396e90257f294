"""Address blocks are nobody else's, in this process, in others, and where something listens already."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes import addresses
from chaoskit.runtimes.addresses import lease_block
from chaoskit.runtimes.local.topology import lay_out
from chaoskit.runtimes.sockets import listening, listening_of
from tests.runtimes.local import tiny


def test_a_block_is_leased_once_and_free_again_when_its_holder_ends(tmp_path: Path) -> None:
    blocks = [lease_block("same", tmp_path) for _ in range(5)]
    assert len({block.prefix for block in blocks}) == 5
    first = blocks[0]
    child = os.fork()
    if child == 0:
        os._exit(0 if lease_block("same", tmp_path).prefix not in {block.prefix for block in blocks} else 1)
    assert os.waitpid(child, 0)[1] == 0
    for block in blocks:
        os.close(block.fd)
    again = lease_block("same", tmp_path)
    assert again.prefix == first.prefix
    os.close(again.fd)


def test_where_something_listens_is_left_out(tmp_path: Path) -> None:
    block = lease_block("busy", tmp_path)
    os.close(block.fd)
    with socket.socket() as busy:
        busy.bind((f"{block.prefix}.77", 0))
        busy.listen()
        other = lease_block("busy", tmp_path)
        os.close(other.fd)
    assert other.prefix != block.prefix


def test_no_block_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_BLOCKS", 1)
    held = lease_block("one", tmp_path)
    with pytest.raises(EnvironmentBroken, match="every address block"):
        lease_block("two", tmp_path)
    os.close(held.fd)


def test_the_lock_file_is_for_every_user(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        os.close(lease_block("mine", tmp_path).fd)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "chaoskit-addresses.lock").stat().st_mode) == 0o666


def test_listeners_are_read_as_they_are() -> None:
    with socket.socket() as four, socket.socket(socket.AF_INET6) as six:
        four.bind(("127.1.2.3", 0))
        six.bind(("::1", 0))
        for each in (four, six):
            each.listen()
        found = {(at.host, at.port) for at in listening_of([os.getpid()])}
        assert {("127.1.2.3", four.getsockname()[1]), ("::1", six.getsockname()[1])} <= found
        assert found <= {(at.host, at.port) for at in listening()}


def test_every_service_and_link_has_its_own_address_and_the_callees_port(tmp_path: Path) -> None:
    links = ("customers -> shop", "other -> shop")
    topology = lay_out(tiny.system(tmp_path, [tiny.web("shop"), tiny.web("other")], links), "127.9.9")
    hosts = [*topology.hosts.values(), *topology.link_hosts.values(), topology.control.host]
    assert len(set(hosts)) == 5
    assert str(topology.service("shop")) == "127.9.9.1:8080"


@pytest.mark.parametrize(
    ("change", "said"),
    [({"ports": ()}, "no port of shop is known"), ({"name": "ghost"}, "does not say how ghost runs")],
)
def test_what_has_no_place_is_named(tmp_path: Path, change: dict[str, object], said: str) -> None:
    service, local = tiny.web("shop")
    system = tiny.system(tmp_path, [(service, local)])
    changed = service.model_copy(update=change)
    with pytest.raises(EnvironmentBroken, match=said):
        lay_out(system.model_copy(update={"services": {changed.name: changed}}), "127.9.9")


def test_more_than_fit_are_counted(tmp_path: Path) -> None:
    system = tiny.system(tmp_path, [tiny.web(f"shop-{number}") for number in range(251)])
    with pytest.raises(EnvironmentBroken, match="251 services and 0 links need 251 addresses"):
        lay_out(system, "127.9.9")
