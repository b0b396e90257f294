"""Proxy variables that would take a drill's own traffic elsewhere: in this environment, and in a service's."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping

from chaoskit.model.system import System
from chaoskit.runtimes.finding import Finding

_VARIABLES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_POOLS = "localhost,127.0.0.0/8,172.16.0.0/12,192.168.0.0/16"
"""An engine's default address pools, for NO_PROXY."""
_URL = re.compile(r"https?://(?:[^@/\s]*@)?([A-Za-z0-9._-]+)")


def findings(
    environment: Mapping[str, str], addresses: Iterable[str], system: System | None
) -> Iterator[Finding]:
    """A problem for each proxy variable that catches one of `addresses`, or a service's call of another service."""
    variable = next((name for name in _VARIABLES if environment.get(name)), None)
    if variable is not None:
        caught = [each for each in addresses if not spared(environment, each)]
        told = f"{variable}={environment[variable]}"
        if caught:
            yield Finding(
                "problem",
                f"{told} is in the way: whoever asks a container over HTTP ({', '.join(caught)}) would ask that proxy",
                f"unset it for the drill (env -u {variable} …), or add to NO_PROXY: {_POOLS}",
            )
        else:
            yield Finding("ok", f"{told}: NO_PROXY spares the containers' addresses")
    for name, service in system.services.items() if system else ():
        yield from _of_service(name, service.environment, system)


def _of_service(name: str, environment: Mapping[str, str], system: System | None) -> Iterator[Finding]:
    """A service that is given a proxy, and calls another service of the file by an http:// URL, past NO_PROXY."""
    variable = next((each for each in _VARIABLES if environment.get(each)), None)
    if variable is None or system is None:
        return
    called = {
        host
        for key, value in environment.items()
        if key not in _VARIABLES
        for host in _URL.findall(value)
        if host in system.services and not spared(environment, host)
    }
    if called:
        yield Finding(
            "problem",
            f"service {name} has {variable}={environment[variable]}, which catches its calls of "
            f"{', '.join(sorted(called))}: they would go to the proxy instead of the link",
            f"add to its NO_PROXY: {','.join(sorted(called))}",
        )


def spared(environment: Mapping[str, str], host: str) -> bool:
    """Whether NO_PROXY names the host: itself, a domain above it, a network it is in, or all (*)."""
    entries = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return any(_matches(entry.strip(), host) for entry in entries.split(",") if entry.strip())


def _matches(entry: str, host: str) -> bool:
    if entry == "*" or host == entry or host.endswith("." + entry.lstrip(".")):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
