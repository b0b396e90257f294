"""Any value anywhere in a Compose file is read or refused; nothing but problems ever comes of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.model.system import System
from chaoskit.planner.container_changes import changes
from chaoskit.planner.containers import refuse_containers
from chaoskit.runtimes.docker.translate import Context, container_options
from chaoskit.runtimes.docker.volumes_plan import plan_volumes
from chaoskit.spec import Loaded
from chaoskit.spec.compose_file import load_compose
from chaoskit.spec.compose_service import KNOWN

FILES = sorted((Path(__file__).parent / "compose_files").glob("*.yaml"))
WORDS = [
    "",
    "a:b:c:d",
    "/",
    ":",
    "0",
    "-1",
    "1.5g",
    "1s",
    "80-70",
    "${X",
    "$$",
    "service:a",
    "on-failure:x",
    "=",
    "x=y",
]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(WORDS), st.text(max_size=8))
KINDS: list[Any] = [
    None,
    True,
    7,
    -1,
    2.5,
    "",
    "a",
    [],
    ["a"],
    [{}],
    [None],
    [["a"]],
    {},
    {"a": None},
    {"a": {"b": []}},
]
KEYS = st.sampled_from(
    sorted(KNOWN | {"source", "target", "type", "test", "resources", "limits", "config", "external"})
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
# One long-lived folder is written over again and again: hypothesis and pytest's tmp_path do not mix.
FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def survives(folder: Path, text: str) -> None:
    """Read the file as every part of the program would; a problem-free file must translate."""
    path = folder / "compose.yaml"
    path.write_text(text, "utf-8")
    found = load_compose(path, (), {"DB_PASSWORD": "x"})
    for problem in found.problems:
        assert str(problem)
    if found.problems:
        return
    system = System.model_construct(
        services=found.services, compose_project=found.project, disposable=False, links=()
    )
    loaded = cast(Loaded, SimpleNamespace(system=system, compose=found))
    changes(loaded)
    if refuse_containers(loaded):
        return
    plan = plan_volumes(system, "run", folder / "scratch")
    containers = {name: f"run-{name}" for name in system.services}
    for name, service in system.services.items():
        container_options(service, Context(plan.mounts[name], containers))


def _paths(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, one in items:
        found += _paths(one, (*path, key))
    return found


@FUZZ
@given(data=st.data())
def test_any_value_anywhere_in_a_foreign_compose_file(tmp_path: Path, data: st.DataObject) -> None:
    tree = yaml.safe_load(
        data.draw(st.sampled_from([one for one in FILES if one.stem != "extended"])).read_text("utf-8")
    )
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_paths(tree)))
        place = tree
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = data.draw(VALUES)
    survives(tmp_path, yaml.safe_dump(tree, sort_keys=False))


@FUZZ
@given(service=st.dictionaries(KEYS, VALUES, max_size=5), other=st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_service_over_any_other(tmp_path: Path, service: dict[str, Any], other: dict[str, Any]) -> None:
    base = {"services": {"a": {"image": "x", **service}, "b": {"extends": "a", **other}}}
    survives(tmp_path, yaml.safe_dump(base, sort_keys=False))


@pytest.mark.parametrize("key", sorted(KNOWN))
def test_every_key_takes_or_refuses_each_kind_of_value(tmp_path: Path, key: str) -> None:
    for value in KINDS:
        survives(tmp_path, yaml.safe_dump({"services": {"a": {"image": "x", key: value}}}))
