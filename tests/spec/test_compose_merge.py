"""Override files by Compose's rules, field by field, and how variables reach what they fill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from chaoskit.model.compose import ComposeService
from chaoskit.spec.compose_env_file import read_env_file
from chaoskit.spec.compose_file import Compose, load_compose
from chaoskit.spec.compose_variables import BadVariable, Variables


def over(folder: Path, base: dict[str, Any], other: str) -> Compose:
    top = {"networks": {"m": None, "n": None}, "volumes": {"v": None, "w": None}}
    (folder / "a.yaml").write_text(
        yaml.safe_dump({"services": {"s": {"image": "x", **base}, "o": {"image": "x"}}, **top})
    )
    (folder / "b.yaml").write_text(f"services:\n  s:\n{other}", "utf-8")
    found = load_compose(folder / "a.yaml", [folder / "b.yaml"], {"SHELL_SAYS": "it"})
    assert [str(one) for one in found.problems] == []
    return found


def service(folder: Path, base: dict[str, Any], other: str) -> ComposeService:
    return over(folder, base, other).services["s"].compose


@pytest.mark.parametrize(
    ("base", "other", "field", "value"),
    [
        ({"dns": "1.1.1.1"}, "    dns: [8.8.8.8]\n", "dns", ("1.1.1.1", "8.8.8.8")),
        ({"cap_add": ["A"]}, "    cap_add: [A, B]\n", "cap_add", ("A", "B")),
        ({"command": ["a", "b"]}, "    command: c\n", "command", ("c",)),
        ({"command": ["a"]}, "    command: null\n", "command", None),
        ({"command": ["a"]}, "    command: !reset null\n", "command", None),
        ({"command": ["a"]}, "    command: []\n", "command", ()),
        ({"labels": {"a": "1", "b": "1"}}, "    labels: [b=2, c]\n", "labels", {"a": "1", "b": "2", "c": ""}),
        ({"environment": {"A": 1}}, "    environment: [A, SHELL_SAYS]\n", "environment", {"SHELL_SAYS": "it"}),
        ({"environment": ["A=1", "B=1"]}, "    environment: {A: !reset null}\n", "environment", {"B": "1"}),
        ({"environment": ["A=1"]}, "    environment: !override {B: 2}\n", "environment", {"B": "2"}),
        ({"cap_drop": ["A"]}, "    cap_drop: !reset []\n", "cap_drop", ()),
        ({"image": "y"}, "    image: !reset null\n", "image", None),
        ({"user": "a"}, "    user: null\n", "user", "a"),
        ({"extra_hosts": ["a:::1"]}, "    extra_hosts: [b=::2]\n", "extra_hosts", (("a", "::1"), ("b", "::2"))),
        ({"profiles": []}, "    container_name: x\n", "container_name", "x"),
    ],
)  # fmt: skip
def test_a_field(tmp_path: Path, base: dict[str, Any], other: str, field: str, value: object) -> None:
    assert getattr(service(tmp_path, base, other), field) == value


def test_what_has_an_identity_replaces_its_like(tmp_path: Path) -> None:
    base = {
        "volumes": ["v:/a", "w:/b/"],
        "ports": ["80:80", "81:81/udp"],
        "tmpfs": "/t:size=1m",
        "depends_on": {"o": {"condition": "service_healthy"}},
        "healthcheck": {"test": "x", "retries": 3},
        "networks": {"m": {"aliases": ["one"]}},
        "logging": {"driver": "a", "options": {"x": "1"}},
        "ulimits": {"nofile": {"soft": 1, "hard": 2}},
        "deploy": {"resources": {"limits": {"cpus": "1", "memory": "1g"}}},
    }
    other = """
    volumes: ["w:/a:ro", "v:/b"]
    ports: ["80:80", "82:82"]
    tmpfs: [/t]
    depends_on: {o: {condition: service_started}}
    healthcheck: {retries: 5}
    networks: {m: {aliases: [two]}, n: }
    logging: {driver: b}
    ulimits: {nofile: 9}
    deploy: {resources: {limits: {memory: 2g}}}
"""
    found = service(tmp_path, base, other)
    assert [(one.source, one.target, one.read_only) for one in found.mounts] == [
        ("w", "/a", True),
        ("v", "/b", False),
    ]
    assert [(one.published, one.protocol) for one in found.ports] == [
        ("80", "tcp"),
        ("81", "udp"),
        ("82", "tcp"),
    ]
    assert [one.options for one in found.tmpfs] == [""]
    assert found.depends_on["o"].condition == "service_started"
    assert found.healthcheck is not None
    assert (found.healthcheck.test, found.healthcheck.retries) == (("CMD-SHELL", "x"), 5)
    assert (found.networks["m"].aliases, list(found.networks)) == (("one", "two"), ["m", "n"])
    assert found.logging is not None
    assert (found.logging.driver, found.logging.options) == ("b", {})
    assert (found.ulimits["nofile"].soft, found.ulimits["nofile"].hard) == (9, 9)
    assert (found.resources.cpus, found.resources.memory) == (1.0, 2 << 30)


def test_sections_merge_and_can_be_taken_away(tmp_path: Path) -> None:
    other = """    networks: [m]
  o: !reset null
networks:
  m: {driver_opts: {a: 1}, ipam: {config: [{subnet: 10.1.0.0/24}]}}
volumes: !override
  z: {labels: [a=b]}
"""
    found = over(tmp_path, {}, other)
    assert list(found.services) == ["s"]
    assert found.project.networks["m"].driver_opts == {"a": "1"}
    assert found.project.networks["m"].pools[0].subnet == "10.1.0.0/24"
    assert list(found.project.volumes) == ["z"]
    assert found.project.volumes["z"].labels == {"a": "b"}


def test_relative_paths_of_an_override_file_begin_at_the_first_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.yaml").write_text("services: {s: {image: x, volumes: ['./d:/d']}}")
    (tmp_path / "deep" / "b.yaml").write_text("services: {s: {volumes: ['./e:/e']}}")
    found = load_compose(tmp_path / "a.yaml", [tmp_path / "deep" / "b.yaml"], {})
    assert [one.source for one in found.services["s"].compose.mounts] == [
        str(tmp_path / "d"),
        str(tmp_path / "e"),
    ]


def test_a_file_with_other_shapes_than_its_base_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("services: {s: {image: x, healthcheck: {test: x}}}")
    (tmp_path / "b.yaml").write_text("services:\n  s:\n    healthcheck: [x]\n")
    found = load_compose(tmp_path / "a.yaml", [tmp_path / "b.yaml"], {})
    assert "b.yaml:3:18: `s`: a mapping and something else cannot be merged" in str(found.problems[0])


def test_the_project_s_name_is_known_to_variables(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: shop\nservices: {s: {image: '${COMPOSE_PROJECT_NAME}-x'}}")
    found = load_compose(tmp_path / "a.yaml", (), {})
    assert (found.project.name, found.services["s"].image) == ("shop", "shop-x")


def test_an_override_file_that_is_not_named_is_said_to_be_left(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {s: {image: x}}")
    (tmp_path / "compose.override.yaml").write_text("services: {s: {image: y}}")
    assert "compose.override.yaml is not merged" in load_compose(tmp_path / "compose.yaml", (), {}).notes[0]


def test_included_entries_are_not_changed_by_the_file_that_includes(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "c.yaml").write_text("services: {s: {image: x}}\nnetworks: {n: {internal: true}}")
    (tmp_path / "a.yaml").write_text("include: [part/c.yaml]\nservices:\n  s: {image: y}\n")
    found = load_compose(tmp_path / "a.yaml", (), {})
    assert "a.yaml:3:3: `services.s` stands in an included file already" in str(found.problems[0])
    (tmp_path / "part" / "c.yaml").write_text("include: [../a.yaml]\nservices: {t: {image: x}}")
    found = load_compose(tmp_path / "a.yaml", (), {})
    assert "nest deeper than 20 files" in str(found.problems[0])


def test_env_files(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_text(
        "# c\n\nA=1 # note\nexport B = two words \nC='$A # as it stands'\nD=\"$A\\n${E:-e}\"\nF: yaml\n"
        "G=\"several\nlines\" # note\nHOME_OF\nH=a#b\nI=\nJ='it\\'s'\r\n",
        "utf-8",
    )
    assert read_env_file(path, Variables({"HOME_OF": "/root"})) == {
        "A": "1", "B": "two words", "C": "$A # as it stands", "D": "1\ne", "F": "yaml", "G": "several\nlines",
        "HOME_OF": "/root", "H": "a#b", "I": "", "J": "it's",
    }  # fmt: skip
    assert read_env_file(path, raw=True)["C"] == "'$A # as it stands'"
    for text, says in (
        ("A='x\n", "line 1: .*never closed"),
        ("A=1\n=x", "line 2: write NAME"),
        ('A="x" y', "behind"),
    ):
        path.write_text(text, "utf-8")
        with pytest.raises(BadVariable, match=says):
            read_env_file(path)


def test_services_that_are_left_out_and_those_that_need_them(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("""
services:
  a: {image: x, depends_on: {b: {condition: service_started, required: false}, none: {condition: service_started}}}
  b: {image: x, profiles: [tools]}
  none: {image: x, scale: 0}
  c: {image: x, network_mode: bridge, links: [a], depends_on: {gone: {condition: service_started, required: false}}}
""")
    found = load_compose(tmp_path / "a.yaml", (), {})
    assert ["`a` depends on 'none': no such service" in one.message for one in found.problems] == [True]
    assert list(found.services) == ["a", "c"]
    assert found.services["c"].depends_on == {"a": "service_started"}
    assert found.services["c"].compose.network_mode is None
    assert "engine-bridge" in found.project.networks
    assert [one for one in found.notes if "does not wait for b" in one or "wants 0 containers" in one] == [
        "none: left out, the Compose file wants 0 containers of it",
        "a: does not wait for b, which is not there and not required",
    ]
