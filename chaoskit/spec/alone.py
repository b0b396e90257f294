"""A system file by itself, with a drill that does nothing: for whoever runs the system to break it by hand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from chaoskit import registry as known_members
from chaoskit.errors import InputError
from chaoskit.model.drill import Drill, Settle, Steady
from chaoskit.spec.loading import Loaded, in_order
from chaoskit.spec.member_params import Registry
from chaoskit.spec.places import nearest, shown
from chaoskit.spec.source import read
from chaoskit.spec.system_file import load_system


def load_alone(
    path: Path | str,
    variant: str | None = None,
    *,
    seed: int = 0,
    registry: Registry = known_members,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Read, validate and cross-check a system file and its Compose files; places are those of the system file.

    Raises:
        InputError: with every problem of all the files, in file order.
    """
    environ = dict(os.environ) if environ is None else dict(environ)
    document = read(Path(path), "system file")
    found = load_system(document.path, variant, environ, document)
    if variant is not None and variant not in found.variants:
        message = f"the system has no variant {shown(variant)}"
        raise InputError(
            found.places.problem(("variants",), message, nearest(variant, found.variants, "variants"))
        )
    if found.problems:
        raise InputError(*in_order(found.problems))
    # Not validated: a drill that drives nothing and breaks nothing is no drill that anybody may write.
    drill = Drill.model_construct(
        drill=f"estate-{found.system.system}",
        title=f"{found.system.system}, run for tests",
        system=document.path.name,
        variant=variant,
        seed=seed,
        load={},
        steady=Steady(),
        timeline=(),
        objectives={},
        settle=Settle(),
    )
    return Loaded(
        drill,
        found.system,
        document.path,
        found.places,
        found.places,
        found.compose,
        document=document,
        registry=registry,
        environ=environ,
    )
