"""Where links lie: pure, the same every time, and refused by name where there can be none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chaoskit import pipeline
from chaoskit.errors import InputError
from chaoskit.runtimes.docker.link_layout import LinkLayout, lay_out
from chaoskit.spec import load
from tests.runtimes.docker.links_bench import system

LINKS = ("customers -> web", "customers -> admin", "web -> db", "web -> cache", "admin -> db", "db -> cache")
NAMES = ("web", "admin", "db", "cache")
ONE: dict[str, tuple[str, ...]] = dict.fromkeys(NAMES, ("default",))


def layout(networks: dict[str, tuple[str, ...]] = ONE, **ports: tuple[int, ...]) -> LinkLayout:
    names = {name: (name, f"{name}.internal") for name in NAMES}
    return lay_out(system(LINKS), networks, names, {**dict.fromkeys(NAMES, (5432,)), **ports})


def test_every_link_has_an_address_of_its_own_and_keeps_the_port() -> None:
    made = layout()
    assert len({placed.address for placed in made.links.values()}) == len(LINKS)
    assert all(placed.ports == (5432,) for placed in made.links.values())
    assert all(placed.address.startswith("169.254.") for placed in made.links.values())
    assert made == layout()


def test_a_caller_finds_every_name_of_its_callees_and_of_no_other() -> None:
    made = layout()
    db, cache = made.links["web -> db"].address, made.links["web -> cache"].address
    assert made.callers["web"].extra_hosts == {
        "db": db,
        "db.internal": db,
        "cache": cache,
        "cache.internal": cache,
    }
    assert set(made.callers) == {"web", "admin", "db"}
    assert made.links["admin -> db"].address != db


def test_two_customers_links_on_one_port_have_two_ports_on_the_proxys_address() -> None:
    made = layout()
    assert made.links["customers -> web"].host_ports == (5432,)
    assert made.links["customers -> admin"].host_ports != (5432,)
    reached = [(one.network, port) for one in made.links.values() for port in one.host_ports]
    assert len(set(reached)) == len(reached)


def test_a_caller_on_several_networks_gets_its_address_on_one_and_the_proxy_reaches_the_others() -> None:
    networks = {"web": ("front", "back"), "admin": ("front",), "db": ("back",), "cache": ("back", "store")}
    made = layout(networks)
    assert made.callers["web"].network == "back"
    assert made.links["web -> db"].upstream_network == "back"
    assert made.callers["admin"].network == "front"
    assert made.links["admin -> db"].upstream_network == "back"
    assert made.proxies == {"front": ("front", "back"), "back": ("back",)}


def test_replicas_of_a_caller_have_an_address_each() -> None:
    made = lay_out(system(LINKS), ONE, {}, dict.fromkeys(NAMES, (1,)), {"web": 3})
    assert len(set(made.callers["web"].link_local_ips)) == 3
    all_of_them = [ip for side in made.callers.values() for ip in side.link_local_ips]
    assert len(set(all_of_them)) == len(all_of_them) == 5


def test_addresses_that_clouds_use_are_left_alone() -> None:
    links = [f"a{n} -> b{n % 7}" for n in range(500)]
    names = {end for link in links for end in link.split(" -> ")}
    made = lay_out(system(links), dict.fromkeys(names, ("n",)), {}, dict.fromkeys(names, (1,)))
    taken = {placed.address for placed in made.links.values()} | {
        side.link_local_ip for side in made.callers.values()
    }
    assert len(taken) == 1000
    assert not any(address.startswith(("169.254.169.", "169.254.170.", "169.254.0.")) for address in taken)


def test_a_service_without_a_network_of_its_own_is_refused_by_name() -> None:
    with pytest.raises(InputError) as refused:
        layout({**ONE, "cache": (), "admin": ()})
    told = str(refused.value)
    assert "'web -> cache'" in told
    assert "'admin -> db'" in told
    assert "'web -> db'" not in told
    assert "network_mode" in told


def test_a_callee_without_a_port_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="no port of cache is known"):
        layout(cache=())


@pytest.mark.parametrize("mode", ["none", "service:front", "host"])
def test_while_planning_it_is_refused_with_its_line(mode: str, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    shutil.copytree(Path(__file__).parent / "small", folder)
    compose = folder / "compose.yaml"
    text = compose.read_text(encoding="utf-8").replace("  back:\n", f"  back:\n    network_mode: {mode}\n")
    compose.write_text(text.replace("    depends_on: [back]\n", ""), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        pipeline.make_plan(load(folder / "drill.yaml"), "docker")
    assert "compose.yaml:3:" in str(refused.value)
    assert "link" in str(refused.value)
