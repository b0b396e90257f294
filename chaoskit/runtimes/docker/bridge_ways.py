"""A way for links over `internal` networks: the engine's packet filter drops addresses that are not of the network.

Where bridged packets pass the host's packet filter (bridge-nf-call-iptables), the engine lets only the network's own
addresses through an internal network. One rule for each such bridge lets link-local ones pass from it to itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.hand import Hand

_CHAIN = "DOCKER-USER"  # the engine's, for rules of others: before its own
_OURS = re.compile(r'^-A (DOCKER-USER .*-i (\S+) .*--comment "?chaoskit:links"?.*)$', re.MULTILINE)


class BridgeWays:
    """The rules of one run; those whose bridge is gone are removed by whoever comes next."""

    def __init__(self, engine: Engine, hand: Hand) -> None:
        self._engine = engine
        self._hand = hand
        self._laid: list[list[str]] = []

    async def open(self, networks: Iterable[str]) -> None:
        """Let links pass the internal ones of these networks. Raises EnvironmentBroken."""
        api = self._engine.client.api
        bridges = []
        for network in networks:
            seen: Any = await self._engine.do(f"inspect {network}", partial(api.inspect_network, network))
            if seen.get("Internal"):
                name = (seen.get("Options") or {}).get("com.docker.network.bridge.name")
                bridges.append(name or f"br-{seen['Id'][:12]}")
        if not bridges:
            return
        await self._sweep()
        for bridge in bridges:
            rule = [_CHAIN, "-i", bridge, "-o", bridge, "-s", "169.254.0.0/16", "-d", "169.254.0.0/16"]
            rule += ["-m", "comment", "--comment", "chaoskit:links", "-j", "ACCEPT"]
            done = await self._hand.run(["iptables", "-w", "5", "-I", *rule])
            if done.returncode:
                said = done.stderr.decode(errors="replace").strip()
                raise EnvironmentBroken(f"no link can lie on the internal network of {bridge}: {said}")
            self._laid.append(rule)

    async def close(self) -> None:
        """Take the run's rules out again; missing is fine."""
        for rule in self._laid:
            await self._hand.run(["iptables", "-w", "5", "-D", *rule])
        self._laid.clear()

    async def _sweep(self) -> None:
        """Remove what dead runs have left: a bridge's name is never used twice."""
        found = await self._hand.run(["iptables", "-w", "5", "-S", _CHAIN])
        for rule, bridge in _OURS.findall(found.stdout.decode(errors="replace")):
            if not Path(f"/sys/class/net/{bridge}").exists():  # noqa: ASYNC240 - no disk
                await self._hand.run(["iptables", "-w", "5", "-D", *rule.replace('"', "").split()])
