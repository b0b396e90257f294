"""What links carry, counted by the kernel's packet filter and not by the proxy, and what goes past them.

    in the proxy's network    to and from each link's address                  ──► the link carries
    in a callee's network     from its caller's own addresses, to its ports    ──► the link is bypassed

Only segments that carry data are counted (PSH): opening and closing a connection proves nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaoskit.errors import EnvironmentBroken
from chaoskit.model.system import CUSTOMERS
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.link_layout import PlacedLink

_COUNTED = re.compile(rb"^\[\d+:(\d+)\] -A CHAOSKIT-\w+ .*--comment \"?chaoskit:(\w+):(\d+)\"?", re.MULTILINE)
_LINK_LOCAL = "169.254.0.0/16"
_DATA = "--tcp-flags PSH PSH"


@dataclass(frozen=True)
class Bypass:
    """A way past a link: from any of `callers` (addresses) to `ports` of the callee. `number` is the link's."""

    number: int
    callers: tuple[str, ...]
    ports: tuple[int, ...]


def ways_in(host: str, numbered: Iterable[tuple[int, PlacedLink]]) -> bytes:
    """Rules for the proxy's network, at address `host`: the host's way to each listener, and the links' counters."""
    nat, counters = [], []
    for number, placed in numbered:
        near = "" if placed.link.caller == CUSTOMERS else f"-s {_LINK_LOCAL} "
        back = "" if placed.link.caller == CUSTOMERS else f"-d {_LINK_LOCAL} "
        for port, host_port in zip(placed.ports, placed.host_ports, strict=True):
            nat.append(
                f"-A CHAOSKIT-WAYS -d {host}/32 -p tcp --dport {host_port} "
                f"-j DNAT --to-destination {placed.address}:{port}"
            )
            counters += [
                f"-A CHAOSKIT-LINKS {near}-d {placed.address}/32 -p tcp --dport {port} {_DATA} "
                f"-m comment --comment chaoskit:up:{number}",
                f"-A CHAOSKIT-LINKS {back}-s {placed.address}/32 -p tcp --sport {port} {_DATA} "
                f"-m comment --comment chaoskit:down:{number}",
            ]
    return _rules("nat", "CHAOSKIT-WAYS", ["PREROUTING"], nat) + _rules(
        "filter", "CHAOSKIT-LINKS", ["INPUT", "OUTPUT"], counters
    )


def bypass_rules(bypasses: Sequence[Bypass], fresh: bool) -> bytes:
    """Rules for a callee's network; `fresh` where there were none before."""
    lines = [
        f"-A CHAOSKIT-DIRECT -s {caller}/32 -p tcp --dport {port} {_DATA} "
        f"-m comment --comment chaoskit:direct:{bypass.number}"
        for bypass in bypasses
        for caller in bypass.callers
        for port in bypass.ports
    ]
    return _rules("filter", "CHAOSKIT-DIRECT", ["INPUT"] if fresh else [], lines)


async def lay(hand: Hand, pid: int, rules: bytes, whose: str) -> None:
    """Lay rules in a network, in one transaction. Raises EnvironmentBroken with the packet filter's words."""
    done = await hand.in_network(pid, ["iptables-restore", "--noflush", "--wait", "5"], rules)
    if done.returncode == 127:
        raise EnvironmentBroken(
            "there is no iptables on the engine's host, which the links' traffic is counted with: install it"
        )
    if done.returncode:
        raise EnvironmentBroken(f"the packet filter in the network of {whose} refuses: {_words(done.stderr)}")


async def read(hand: Hand, pid: int, whose: str) -> Counter[tuple[str, int]]:
    """Bytes of counted packets by direction (up, down, direct) and link's number."""
    done = await hand.in_network(pid, ["iptables-save", "-c", "-t", "filter"])
    if done.returncode:
        raise EnvironmentBroken(f"the packet filter of {whose} cannot be read: {_words(done.stderr)}")
    sums: Counter[tuple[str, int]] = Counter()
    for size, way, number in _COUNTED.findall(done.stdout):
        sums[way.decode(), int(number)] += int(size)
    return sums


def _rules(table: str, chain: str, hooks: Sequence[str], lines: Sequence[str]) -> bytes:
    # In front of what others have there: a rule that accepts would hide from us what comes after it.
    jumps = [f"-I {hook} -j {chain}" for hook in hooks]
    return "\n".join([f"*{table}", f":{chain} - [0:0]", *lines, *jumps, "COMMIT", ""]).encode()


def _words(stderr: bytes) -> str:
    return stderr.decode(errors="replace").strip() or "no reason given"
