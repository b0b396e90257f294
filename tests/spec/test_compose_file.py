"""Compose files: variables, short and long forms, `extends`, override files, what is kept by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.spec.compose_file import Compose, load_compose
from chaoskit.spec.compose_variables import BadVariable, Variables


def compose(folder: Path, text: str, override: str = "", **environ: str) -> Compose:
    (folder / "compose.yaml").write_text(text, "utf-8")
    if override:
        (folder / "override.yaml").write_text(override, "utf-8")
    return load_compose(folder / "compose.yaml", [folder / "override.yaml"] if override else [], environ)


def said(found: Compose) -> list[str]:
    return [
        f"{one.location.path.name}:{one.location.line}:{one.location.column}: {one.message}"
        for one in found.problems
    ]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$A-${A}", "x-x"),
        ("$$A $${A}", "$A ${A}"),
        ("${B:-d} ${B-d} ${E:-d} ${E-d}", "d d d "),
        ("${B:-${A}y}", "xy"),
        ("${A:+set}${B:+set}${E+set}", "setset"),
        ("${A?no}", "x"),
        ("${NOPE}", ""),
    ],
)
def test_variables_are_filled_as_compose_fills_them(text: str, filled: str) -> None:
    assert Variables({"A": "x", "E": ""}).fill(text) == filled


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${B:?needed for ${A}}", "the variable B is not set: needed for x"),
        ("${B?}", "a value is required"),
        ("100$", r"write `\$\$`"),
        ("${A", "never closed"),
        ("${A!x}", "is no variable"),
        ("${A:-" * 15 + "}" * 15, "10 levels|never"),
    ],
)
def test_a_variable_that_cannot_be_filled_is_told(text: str, says: str) -> None:
    with pytest.raises(BadVariable, match=says):
        Variables({"A": "x"} if "needed" in text else {}).fill(text)


def test_both_forms_of_everything(tmp_path: Path) -> None:
    (tmp_path / "app.env").write_text(
        "# c\nexport ONE=1\nTWO='a $B # b' \nTHREE=\"x\\ny\"\nFOUR=4 # four\n", "utf-8"
    )
    (tmp_path / ".env").write_text("TAG=18\n", "utf-8")
    found = compose(
        tmp_path,
        """
services:
  a:
    image: postgres:${TAG}
    command: sh -c "echo 'hi there'"
    environment: {N: 012, F: 1.10, T: true, EMPTY: , GIVEN: , S: "${MISSING}"}
    env_file: app.env
    ports: ["8080:80", "127.0.0.1:9000-9001:90-91", 7, "53:53/udp", {target: 443, published: 8443}]
    volumes: ["./data:/data:ro", "named:/named", {type: bind, source: ../x, target: /x}]
  b:
    build: {context: ./src}
    entrypoint: [run, "it now"]
    environment: [X=1=2, GIVEN, NOT_GIVEN]
    env_file: [{path: none.env, required: false}]
    depends_on: {a: {condition: service_healthy}}
    stop_grace_period: 1m30s
    healthcheck: {test: [CMD, x]}
    x-note: ignored
volumes: {named: }
""",
        GIVEN="yes",
    )
    assert said(found) == []
    a, b = found.services["a"], found.services["b"]
    assert a.image == "postgres:18"
    assert a.command == ("sh", "-c", "echo 'hi there'")
    assert a.environment == {
        "ONE": "1", "TWO": "a $B # b", "THREE": "x\ny", "FOUR": "4",
        "N": "012", "F": "1.10", "T": "true", "GIVEN": "yes", "S": "",
    }  # fmt: skip
    assert a.ports == (80, 90, 91, 7, 443)
    assert a.mounts == {"/data": str(tmp_path / "data"), "/x": str(tmp_path.parent / "x")}
    assert a.unapplied == ("volumes",)
    assert b.entrypoint == ("run", "it now")
    assert b.environment == {"X": "1=2", "GIVEN": "yes"}
    assert (b.depends_on, str(b.stop_grace), b.build) == ({"a": "service_healthy"}, "1m30s", "./src")
    assert b.unapplied == ("healthcheck",)
    assert found.notes == ["the variable MISSING of the Compose file is not set; it is empty"]


def test_an_override_file_is_merged_by_compose_rules(tmp_path: Path) -> None:
    found = compose(
        tmp_path,
        "services:\n  a:\n    command: [old, x]\n    environment: {A: 1, B: 1}\n    ports: ['1:1']\n"
        "    volumes: ['./a:/v', './b:/w']\n    expose: [5]\n",
        "services:\n  a:\n    command: new\n    environment: [B=2]\n    ports: ['2:2']\n    volumes: ['./c:/v']\n"
        "  extra: {image: x}\n",
    )
    a = found.services["a"]
    assert a.command == ("new",)
    assert a.environment == {"A": "1", "B": "2"}
    assert a.ports == (5, 1, 2)
    assert a.mounts == {"/v": str(tmp_path / "c"), "/w": str(tmp_path / "b")}
    assert "extra" in found.services


def test_extends_within_and_across_files(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "base.yaml").write_text(
        "services:\n  base: {environment: {A: 1, B: 1}, volumes: ['./d:/d'], privileged: true}\n", "utf-8"
    )
    found = compose(
        tmp_path,
        "services:\n  a: {extends: {file: base/base.yaml, service: base}, environment: {B: 2}}\n  b: {extends: a}\n",
    )
    assert said(found) == []
    assert found.services["b"].environment == {"A": "1", "B": "2"}
    assert found.services["b"].mounts == {"/d": str(tmp_path / "base" / "d")}
    assert found.services["b"].unapplied == ("privileged",)
    assert "base.yaml:2:" in str(found.problem("b", "privileged", "cannot"))


def test_services_of_a_profile_that_is_off_are_left_out(tmp_path: Path) -> None:
    text = "services:\n  a: {image: x}\n  debug: {image: y, profiles: [tools]}\n"
    assert set(compose(tmp_path, text).services) == {"a"}
    assert set(compose(tmp_path, text, COMPOSE_PROFILES="tools").services) == {"a", "debug"}
    assert "profile tools" in compose(tmp_path, text).notes[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("services: {}\n", "compose.yaml:1:1: the Compose file declares no services"),
        ("services: [a]\n", "compose.yaml:1:11: `services`: a list is no mapping"),
        ("services: {a: 3}\n", "compose.yaml:1:15: `a`: 3 is no mapping"),
        ("services: {a: {imgae: x}}\n", "compose.yaml:1:16: a Compose service has no key `imgae`"),
        ("service: {a: {image: x}}\n", "compose.yaml:1:1: a Compose file has no key `service`"),
        ("include: [x.yaml]\nservices: {a: {image: x}}\n", "x.yaml:1:1: no such Compose file"),
        ("services: {a: {ports: [0]}}\n", "compose.yaml:1:24: `ports`: '0' is no port"),
        ("services: {a: {ports: 80}}\n", "compose.yaml:1:23: `ports`: 80 is no list"),
        (
            "services: {a: {image: [x]}}\n",
            "compose.yaml:1:23: `image`: a list stands where one value belongs",
        ),
        (
            "services: {a: {image: '${X:?set X}'}}\n",
            "compose.yaml:1:23: `image`: the variable X is not set: set X",
        ),
        (
            'services: {a: {command: "a \'b"}}\n',
            "compose.yaml:1:25: `command`: 'a 'b' cannot be split into words",
        ),
        ("services: {a: {env_file: no.env}}\n", "compose.yaml:1:26: `env_file`: no such file: 'no.env'"),
        (
            "services: {a: {stop_grace_period: 10}}\n",
            "compose.yaml:1:35: `stop_grace_period`: '10' is no duration",
        ),
        ("services: {a: {depends_on: [b]}}\n", "compose.yaml:1:28: `a` depends on 'b': no such service"),
        (
            "services: {a: {depends_on: [b]}, b: {depends_on: [a]}}\n",
            "compose.yaml:1:28: `a` waits for `b`, which",
        ),
        (
            "services: {a: {depends_on: {a: {condition: up}}}}\n",
            "compose.yaml:1:44: `depends_on`: 'up' is no condition",
        ),
        ("services: {a: {extends: b}}\n", "compose.yaml:1:25: `extends`: 'b': no such service"),
        ("services: {a: {extends: a}}\n", "compose.yaml:1:25: `extends`: 'a': extends itself"),
        ("services: {a: {extends: {file: no.yaml, service: a}}}\n", "no.yaml:1:1: no such Compose file"),
        ("services: {a: {volumes: ['x:y']}}\n", "compose.yaml:1:26: `volumes`: 'y' is no absolute path"),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, text: str, says: str) -> None:
    found = said(compose(tmp_path, text))
    assert found[0].startswith(says)
