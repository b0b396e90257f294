"""What stands for a service on Docker: its image, which one exactly, and the server's version where the image says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.plan import Fidelity
from chaoskit.model.system import System
from chaoskit.runtimes.docker.engine import engine_url
from chaoskit.runtimes.docker.engine_socket import EngineSocket
from chaoskit.runtimes.docker.images import name_of
from chaoskit.runtimes.docker.link_fidelity import seen_by

_ANSWER_S = 1.0
_VERSION_LABELS = ("org.opencontainers.image.version", "org.label-schema.version")


def describe(system: System) -> Iterable[Fidelity]:
    """One for each service. An engine that does not answer leaves out which image it is: planning needs none."""
    engine = EngineSocket(engine_url(), _ANSWER_S)
    known: dict[str, str] = {}
    answers = True
    for name, service in system.services.items():
        image = name_of(system, service)
        if image not in known and answers:
            try:
                known[image] = _which(engine.call("GET", f"/images/{image}/json"))
            except EnvironmentBroken as error:
                answers = getattr(error, "status", None) == 404
        which = known.get(image, "")
        seen = seen_by(system, name)
        told = f"a container of the image {image}{which}" + (f"; {seen}" if seen else "")
        yield Fidelity(service=name, kind="real", what=told)


def _which(image: Mapping[str, Any]) -> str:
    """` (id, version)`."""
    config = image.get("Config") or {}
    labels = config.get("Labels") or {}
    told = next((labels[key] for key in _VERSION_LABELS if labels.get(key)), None)
    variables = dict(one.partition("=")[::2] for one in config.get("Env") or ())
    # Many images of servers name their version in the environment: PG_VERSION, REDIS_VERSION, NGINX_VERSION, …
    told = told or next(
        (value for key, value in variables.items() if key.endswith("_VERSION") and value), None
    )
    number = str(image["Id"]).removeprefix("sha256:")[:12]
    return f" ({number}, version {told})" if told else f" ({number})"
