"""Backups on docker: PostgreSQL's own tools in a container that receives, the store in a volume that no service mounts.

primary's network ── receiver: a container of the primary's image, as root ──► volume: <name>/<generation>/{wal,base}
                                                                                  │ lay, to be read only
             primary's container (ended) ── its volumes ──► a container beside it ┘ ──► recovery up to an LSN
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.estate import Address
from chaoskit.model.plan import Plan
from chaoskit.runtimes.docker.events import ContainerEvent
from chaoskit.runtimes.docker.ground import Ground
from chaoskit.runtimes.docker.services import Replica
from chaoskit.runtimes.docker.watch import in_words
from chaoskit.runtimes.docker.workshop import Workshop
from chaoskit.runtimes.kept_backups import FIRST_S, JOB, SEGMENT, KeptBackups, Stored, recovery_settings, slot

CAPABILITIES = frozenset({"backups"})
_STORE = "/store"
_WORK_S = 600.0
# Customers come first: at full speed a base backup on the disk of the database holds up their commits for seconds.
_RATE = "32M"
_CPU_SHARES = 256
# Root's: whoever mounts the store as another user cannot write it.
_RECEIVE = """
set -eu
mkdir -p "$GENERATION/wal"
pg_receivewal --create-slot --if-not-exists -S "$SLOT" -d "$LOGIN" --no-password
exec pg_receivewal -D "$GENERATION/wal" -s 1 -S "$SLOT" -d "$LOGIN" --no-password
"""
_BASE = """
set -eu
left=$TRIES
until [ -n "$(ls -A "$GENERATION/wal" 2>/dev/null)" ]; do
  [ "$left" -gt 0 ] || { echo "nothing of the log was received"; exit 1; }
  left=$((left - 1))
  sleep 0.1
done
pg_basebackup -D "$GENERATION/base" -X none --checkpoint=fast --no-sync --manifest-checksums=SHA256 \\
  --max-rate="$RATE" -d "$LOGIN" --no-password
"""
# Lines: size of each file; time, first bytes and name of each piece of log; then the manifest as it is.
_LIST = """
cd "$GENERATION"
find . -type f -exec stat -c 'file %s' {} + 2>/dev/null
for piece in wal/*; do
  head=$(od -An -v -tx1 -N40 "$piece" 2>/dev/null | tr -d ' \\n') || continue
  when=$(stat -c %Y "$piece" 2>/dev/null) && echo "log $when x$head ${piece#wal/}"
done
echo manifest
cat base/backup_manifest 2>/dev/null
exit 0
"""
_VERIFY = 'pg_verifybackup -n -q "$GENERATION/base"'
# What is wrecked is not kept: a copy of it would be part of how long the restore takes.
_EMPTY = "empty"
# The log is laid where a server looks for it by itself when its `restore_command` has none.
_LAY = (
    _EMPTY
    + """
cp -a "/store/$FROM/base/." "$PGDATA"
for piece in "/store/$FROM/wal/"*; do
  name=${piece##*/}
  cp "$piece" "$PGDATA/pg_wal/${name%.partial}"
done
chown -R "$owner:$group" "$PGDATA"
cp -p "$PGDATA/postgresql.auto.conf" "$PGDATA/restored.conf"
add postgresql.auto.conf "$SETTINGS"
add recovery.signal ""
"""
)
_SETTLE = 'mv -f "$PGDATA/restored.conf" "$PGDATA/postgresql.auto.conf"'


class DockerBackups(KeptBackups):
    """Capability `backups`. `volumes`: the engine's name of each backup's store; `broken` says why no log comes in."""

    def __init__(
        self,
        plan: Plan,
        ground: Ground,
        replicas: Mapping[str, Sequence[Replica]],
        workshop: Workshop,
    ) -> None:
        super().__init__(plan)
        self._engine, self._logs = ground.engine, ground.logs
        self._replicas = replicas
        self._workshop = workshop
        self._labels = dict(ground.owner.labels)
        self.volumes = {
            name: f"{ground.prefix}-{one.volume}" if one.volume else f"{ground.prefix}-{JOB}-{name}"
            for name, one in plan.system.backups.items()
        }
        self._receivers: dict[str, str] = {}
        self.broken: str | None = None

    def hear(self, event: ContainerEvent) -> None:
        """An event of any container of the run: a receiver that ends unasked leaves a gap in its log."""
        for name, receiver in self._receivers.items():
            if event.id == receiver and event.action == "die":
                how = in_words(event.exit_code)
                self.broken = (
                    f"the log of {name} is no longer received ({how}); see {self._logs.path(_log(name))}"
                )

    async def lay(self, name: str, lsn: str, at: str) -> None:
        """As the protocol says. Raises EnvironmentBroken while anything of the members lives."""
        role = self._role(name)
        told = {
            "FROM": f"{name}/{self._generations[name]}",
            "SETTINGS": recovery_settings("false", lsn),
        }
        work = [self._workshop.run(role.primary, _LAY, told, more={self.volumes[name]: _STORE})]
        if role.standby is not None:
            work.append(self._workshop.run(role.standby, _EMPTY))
        await asyncio.gather(*work)
        self._restored[name] = at

    async def settle(self, name: str) -> None:
        """As the protocol says."""
        primary = self._replicas[self._role(name).primary][0].id
        # A copy of this server would otherwise stop where this one stopped.
        status, out = await self._exec(name, primary, _SETTLE)
        if status:
            raise EnvironmentBroken(f"backup {name}: the recovery cannot be settled: {_last(out)}")

    # -- inside ---------------------------------------------------------------------------------------

    async def _receive(self, name: str, generation: int) -> None:
        role = self._role(name)
        primary = self._replicas[role.primary][0].recipe
        if not primary.networks:
            raise EnvironmentBroken(
                f"backup {name}: {role.primary} has no network on which it could be backed up"
            )
        told = {
            "GENERATION": f"{_STORE}/{name}/{generation}",
            "SLOT": slot(generation),
            # By its name: a container that is started again has another address.
            "LOGIN": self._login(name, Address(role.primary, role.port)),
            "RATE": _RATE,
            "TRIES": str(int(FIRST_S * 10)),
            "LC_ALL": "C",
        }
        make = partial(self._start, primary.image, primary.networks[0].network, told, self.volumes[name])
        self._receivers[name] = await self._engine.do(f"receive the log of {role.primary}", make)
        self._logs.follow(_log(name), self._receivers[name], None)
        status, out = await self._exec(name, self._receivers[name], _BASE)
        if status:
            raise EnvironmentBroken(
                f"backup {name}: no base backup: {_last(out)}; see {self._logs.path(_log(name))}"
            )

    def _start(self, image: str, network: str, told: Mapping[str, str], volume: str) -> str:
        api: Any = self._engine.client.api
        api.create_volume(name=volume, labels=self._labels)  # the same again, if a service mounts it
        config = api.create_host_config(
            network_mode=network,
            binds={volume: {"bind": _STORE, "mode": "rw"}},
            cpu_shares=_CPU_SHARES,
        )
        made: str = api.create_container(
            image,
            command=[],
            entrypoint=["sh", "-c", _RECEIVE],
            user="0:0",
            environment=dict(told),
            labels=self._labels,
            host_config=config,
        )["Id"]
        api.start(made)
        return made

    async def _stop(self, name: str) -> None:
        receiver = self._receivers.pop(name, "")
        if receiver:
            api = self._engine.client.api
            remove = partial(api.remove_container, receiver, force=True, v=True)
            await self._engine.do(f"end the receiver of {name}", remove)

    async def _stored(self, name: str) -> Stored:
        _, out = await self._exec(name, self._receivers[name], _LIST, tell=False)
        return _parsed(out)

    async def _unverified(self, name: str) -> str:
        status, out = await self._exec(name, self._receivers[name], _VERIFY)
        return _last(out) or f"pg_verifybackup ended with {status}" if status else ""

    async def _exec(self, name: str, container: str, script: str, *, tell: bool = True) -> tuple[int, bytes]:
        """(exit status, output) of a script in a container that runs, as its image's user; told in the backup's log."""
        done = partial(self._exec_now, container, script)
        status, out = await self._engine.do(f"work on the backup {name}", done, _WORK_S + 5)
        if tell:
            await asyncio.to_thread(self._say, name, out)
        return status, out

    def _exec_now(self, container: str, script: str) -> tuple[int, bytes]:
        client = self._engine.connect(_WORK_S)
        try:
            api: Any = client.api
            made = api.exec_create(container, ["sh", "-c", script])["Id"]
            out: bytes = api.exec_start(made)
            return int(api.exec_inspect(made)["ExitCode"]), out
        finally:
            client.close()

    def _say(self, name: str, out: bytes) -> None:
        with self._logs.path(_log(name)).open("ab") as file:
            file.write(out)


def _log(name: str) -> str:
    return f"{JOB}-{name}"


def _last(out: bytes) -> str:
    lines = out.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""


def _parsed(out: bytes) -> Stored:
    """What `_LIST` has printed."""
    listed, _, manifest = out.partition(b"manifest\n")
    sizes: list[int] = []
    newest, log = 0.0, dict[str, bytes]()
    for line in listed.decode("utf-8", "replace").splitlines():
        match line.split(" ", 3):
            case ["file", size]:
                sizes.append(int(size))
            case ["log", when, head, piece]:
                if SEGMENT.fullmatch(piece):
                    newest = max(newest, float(when))
                    log[piece] = bytes.fromhex(head[1:])
            case _:
                raise EnvironmentBroken(f"the store of a backup cannot be listed: {line}")
    return Stored(len(sizes), sum(sizes), newest, manifest, log)
