"""A service's environment and labels, also from files, and host paths: what begins at the Compose file's folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from chaoskit.spec import compose_values as values
from chaoskit.spec.compose_env_file import read_env_file
from chaoskit.spec.compose_tree import Misfit, Sited
from chaoskit.spec.compose_variables import BadVariable
from chaoskit.spec.places import shown


def keys(text: str) -> frozenset[str]:
    """Words as a set."""
    return frozenset(text.split())


def path(item: Sited) -> str:
    """A host path, absolute; a relative one begins at the file's folder."""
    try:
        # Not resolved: what is told of it is told in the writer's words.
        return os.path.abspath(item.origin.folder / Path(item.text).expanduser())  # noqa: PTH100
    except (OSError, ValueError, RuntimeError) as error:
        raise Misfit(item, f"{shown(item.text)} is no path: {error}") from None


def environment(item: Sited) -> dict[str, str | None]:
    """Null takes the value from the environment; None when that has none."""
    known = item.origin.variables.values
    return {key: known.get(key) if one.value is None else one.text for key, one in item.mapping.items()}


def env_files(service: Mapping[str, Sited], over: Mapping[str, str | None]) -> dict[str, str | None]:
    """What `env_file` gives, with `environment` over it."""
    return {**_from_files(service.get("env_file")), **over}


def label_files(service: Mapping[str, Sited], over: Mapping[str, str]) -> dict[str, str]:
    """What `label_file` gives, with `labels` over it."""
    return {**_from_files(service.get("label_file")), **over}


def _from_files(item: Sited | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in item.items if item is not None else ():
        entry = one if isinstance(one.value, dict) else one.like({"path": one})
        given = entry.known(keys("path required format"), "an entry of `env_file`")
        if "path" not in given:
            raise Misfit(one, "names no file", "write `path: app.env`")
        where = given["path"]
        file = Path(path(where))
        required = values.flag(given["required"]) if "required" in given else True
        raw = "format" in given and values.one_of("raw")(given["format"]) == "raw"
        try:
            if file.exists() and not file.is_file():
                raise Misfit(where, f"{shown(where.text)} is no file")
            found |= read_env_file(file, one.origin.variables, raw)
        except FileNotFoundError:
            if required:
                raise Misfit(where, f"no such file: {shown(where.text)}") from None
        except (OSError, UnicodeDecodeError, BadVariable) as error:
            raise Misfit(where, f"cannot read {shown(where.text)}: {error}") from None
    return found
