"""Work on the data of a stopped database member, in a container beside it.

member's container (ended) ── its volumes ──► a container of its image, as root ── its network ──► other members
                                                 │ /kept: a volume of the run, for what is replaced
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.plan import Plan
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.services import Replica

_WORK_S = 6 * 3600.0  # whoever waits has a deadline of his own
_GONE_S = 20.0
# The tools refuse to run as root, and only root may write the volume in which the old data is kept.
AS_OWNER = """
set -eu
owner=$(stat -c %u "$PGDATA") group=$(stat -c %g "$PGDATA")
as_owner() { setpriv --reuid="$owner" --regid="$group" --clear-groups "$@"; }
add() { printf '%s' "$2" >> "$PGDATA/$1"; chown "$owner:$group" "$PGDATA/$1"; chmod 0600 "$PGDATA/$1"; }
empty() { find "$PGDATA" -mindepth 1 -delete; }
"""


class Workshop:
    """The image must have a shell and `setpriv`, and a PGDATA; scripts begin with `AS_OWNER`, TURN is new for each."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        replicas: Mapping[str, Sequence[Replica]],
        labels: Mapping[str, str],
        folder: Path,
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._replicas = replicas
        self._labels = dict(labels)
        self._folder = folder
        self._volumes: dict[str, str] = {}
        self._turn = 0

    async def run(
        self,
        service: str,
        script: str,
        told: Mapping[str, str] | None = None,
        may_end: int = 0,
        more: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """(exit status, output) of a script with the member's volumes, and `more`: engine name → where,
        to be read only. Raises EnvironmentBroken unless it ends with 0 or `may_end`."""
        replica = self._replicas[service][0]
        if replica.running and replica.asked:  # the engine tells of its end a moment after the kernel knows
            with suppress(TimeoutError):
                await asyncio.wait_for(replica.ended.wait(), _GONE_S)
        if replica.running:
            raise EnvironmentBroken(f"{service} is running: its data is not touched")
        volume = await self._volume(service)
        self._turn += 1
        environment = {
            **self._plan.system.services[service].environment,
            "LC_ALL": "C",
            **(told or {}),
            "TURN": str(self._turn),
        }
        binds = {volume: {"bind": "/kept", "mode": "rw"}}
        binds |= {one: {"bind": where, "mode": "ro"} for one, where in (more or {}).items()}
        status, out = await self._engine.do(
            f"work on the data of {service}",
            lambda: self._work(replica, AS_OWNER + script, environment, binds),
            _WORK_S + 5,
        )
        await asyncio.to_thread(self._log, service, out)
        if status not in (0, may_end):
            said = out.decode("utf-8", "replace").strip().replace("\r", "\n").splitlines()
            raise EnvironmentBroken(
                f"the work on the data of {service} ended with {status}: {' | '.join(said[-3:])}; "
                f"see {self._path(service)}"
            )
        return status, out

    def _work(
        self, replica: Replica, script: str, environment: Mapping[str, str], binds: Mapping[str, Any]
    ) -> tuple[int, bytes]:
        client = self._engine.connect(_WORK_S)
        api: Any = client.api
        made = None
        try:
            config = api.create_host_config(
                volumes_from=[replica.id],
                binds=dict(binds),
                network_mode=replica.recipe.networks[0].network,
            )
            made = api.create_container(
                replica.recipe.image,
                command=[],
                entrypoint=["sh", "-c", script],
                user="0:0",
                environment=dict(environment),
                labels=self._labels,
                host_config=config,
            )["Id"]
            api.start(made)
            status = int(api.wait(made)["StatusCode"])
            return status, api.logs(made, stdout=True, stderr=True)
        finally:
            if made is not None:
                api.remove_container(made, force=True)
            client.close()

    async def _volume(self, service: str) -> str:
        """Where what is replaced is kept until the run ends."""
        if service not in self._volumes:
            name = f"chaoskit-kept-{secrets.token_hex(6)}"
            await self._engine.do(
                f"make a volume for the old data of {service}",
                lambda: self._engine.client.api.create_volume(name=name, labels=self._labels),
            )
            self._volumes[service] = name
        return self._volumes[service]

    def _path(self, service: str) -> Path:
        return self._folder / "logs" / f"data-{service}.log"

    def _log(self, service: str, out: bytes) -> None:
        with self._path(service).open("ab") as file:
            file.write(out)
