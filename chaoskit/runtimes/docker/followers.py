"""A member's data made to follow the other one, by PostgreSQL's own tools in a container beside the stopped one.

member's container (ended) ── its volumes ──► a container of its image, as root ── its network ──► the source
                                                 │ /kept: a volume of the run, for what is replaced
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo

from chaoskit.clock import monotonic_ns
from chaoskit.engines.session import parameters
from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.followers import ControlFile, Copied, NotRewound
from chaoskit.model.plan import Plan
from chaoskit.model.system import Link
from chaoskit.runtimes import following
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.services import Replica

CAPABILITIES = frozenset({"followers"})
_WORK_S = 6 * 3600.0  # whoever waits has a deadline of his own
_GONE_S = 20.0
_NOT_REWOUND = 3
_SIZE = re.compile(rb"^chaoskit: (\d+) bytes$", re.MULTILINE)
# The tools refuse to run as root, and only root may write the volume in which the old data is kept.
_AS_OWNER = """
set -eu
owner=$(stat -c %u "$PGDATA") group=$(stat -c %g "$PGDATA")
as_owner() { setpriv --reuid="$owner" --regid="$group" --clear-groups "$@"; }
add() { printf '%s' "$2" >> "$PGDATA/$1"; chown "$owner:$group" "$PGDATA/$1"; chmod 0600 "$PGDATA/$1"; }
empty() { find "$PGDATA" -mindepth 1 -delete; }
"""
_CONTROL = 'as_owner pg_controldata -D "$PGDATA"'
_REWIND = """
test -s "$PGDATA/PG_VERSION" || { echo "pg_rewind: error: no data directory is left"; exit 3; }
cp -a "$PGDATA/." "/kept/$TURN-before"
rm -f "$PGDATA/postmaster.pid"
add postgresql.auto.conf "$KEEP_LOG"
as_owner pg_rewind --target-pgdata="$PGDATA" --source-server="$SOURCE" --no-sync --progress && exit 0
empty
cp -a "/kept/$TURN-before/." "$PGDATA"
exit 3
"""
_COPY = """
install -d -m 0700 -o "$owner" -g "$group" "/kept/$TURN-new"
as_owner pg_basebackup -d "$SOURCE" -D "/kept/$TURN-new" --no-password --wal-method=stream --checkpoint=fast \\
  --no-sync --no-manifest $SLOWLY
echo "chaoskit: $(du -sb "/kept/$TURN-new" | cut -f1) bytes"
cp -a "$PGDATA/." "/kept/$TURN-before"
empty
cp -a "/kept/$TURN-new/." "$PGDATA"
rm -rf "/kept/$TURN-new"
"""
_FOLLOW = 'add postgresql.auto.conf "$SETTINGS"; add standby.signal ""'


class DockerFollowers:
    """Capability `followers`. The image must have PostgreSQL's tools, as PostgreSQL's own has, and a PGDATA."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        replicas: Mapping[str, Sequence[Replica]],
        direct: Callable[[str], Address],
        labels: Mapping[str, str],
        folder: Path,
    ) -> None:
        self._plan = plan
        self._engine = engine
        self._replicas = replicas
        self._direct = direct
        self._labels = dict(labels)
        self._folder = folder
        self._volumes: dict[str, str] = {}
        self._turn = 0

    async def control(self, service: str) -> ControlFile:
        """As the protocol says."""
        _, out = await self._run(service, _CONTROL)
        return following.control_file(out.decode("utf-8", "replace"), service)

    async def rewind(self, service: str, source: str) -> Copied:
        """As the protocol says."""
        begun = monotonic_ns()
        role = following.role_of(service, self._plan.system)
        keys = parameters(self._direct(source), role, superuser=True)
        login = {name: value for name, value in keys.items() if name != "client_encoding"}
        told = {"SOURCE": make_conninfo("", **login), "KEEP_LOG": following.KEEP_LOG}
        status, out = await self._run(service, _REWIND, told, may_end=_NOT_REWOUND)
        text = out.decode("utf-8", "replace")
        if status == _NOT_REWOUND:
            raise NotRewound(following.why_not_rewound(text) or text.strip()[-200:])
        return Copied(following.rewound_bytes(text), monotonic_ns() - begun)

    async def copy(self, service: str, source: str, rate: int | None) -> Copied:
        """As the protocol says."""
        begun = monotonic_ns()
        address = self._direct(source)
        keys = {**self._receiver(service), "host": address.host, "port": str(address.port)}
        slowly = "" if rate is None else f"--max-rate={rate // 1024}k"
        told = {"SOURCE": make_conninfo("", **keys), "SLOWLY": slowly}
        _, out = await self._run(service, _COPY, told)
        size = _SIZE.search(out)
        return Copied(int(size[1]) if size else 0, monotonic_ns() - begun)

    async def follow(self, service: str, source: str) -> str:
        """As the protocol says."""
        role = following.role_of(service, self._plan.system)
        keys, link = self._receiver(service), Link(caller=service, callee=source)
        if service != role.standby:
            keys = {**keys, "host": source, "port": str(self._direct(source).port)}
        await self._run(service, _FOLLOW, {"SETTINGS": following.settings(make_conninfo("", **keys))})
        return link.name if link in self._plan.system.links else "a direct connection"

    # -- inside ---------------------------------------------------------------------------------------

    def _receiver(self, service: str) -> dict[str, str]:
        role = following.role_of(service, self._plan.system)
        told = self._plan.system.services[str(role.standby)].environment.get("PRIMARY_CONNINFO")
        return following.receiver(service, told, role)

    async def _run(
        self, service: str, script: str, told: Mapping[str, str] | None = None, may_end: int = 0
    ) -> tuple[int, bytes]:
        """(exit status, output) of a script with the member's volumes. EnvironmentBroken unless it ends with 0."""
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
        status, out = await self._engine.do(
            f"work on the data of {service}",
            lambda: self._work(replica, _AS_OWNER + script, environment, volume),
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
        self, replica: Replica, script: str, environment: Mapping[str, str], volume: str
    ) -> tuple[int, bytes]:
        client = self._engine.connect(_WORK_S)
        api: Any = client.api
        made = None
        try:
            config = api.create_host_config(
                volumes_from=[replica.id],
                binds={volume: {"bind": "/kept", "mode": "rw"}},
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
        return self._folder / "logs" / f"follow-{service}.log"

    def _log(self, service: str, out: bytes) -> None:
        with self._path(service).open("ab") as file:
            file.write(out)
