"""What the real Toxiproxy does not do to connections: cut short a dial, reset what is open, say nothing at all.

dials      it accepts one caller at a time and dials for it: a silent callee keeps it from being told anything
reset      its `reset_peer` ends connections that are open already in an orderly way (FIN)
silence    its listener always accepts, where a lost machine would let a caller hang
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from chaoskit.errors import EnvironmentBroken
from chaoskit.runtimes.docker.hand import Hand
from chaoskit.runtimes.docker.link_layout import PlacedLink

_CHAIN = "CHAOSKIT-SILENT"


def end_dials(hand: Hand, pid: int, upstreams: Iterable[str]) -> Callable[[], Awaitable[None]]:
    """What ends the dials to these upstreams (address:port) in the proxy's network; without `ss` they end after 3 s."""
    hosts = sorted({upstream.rpartition(":")[0] for upstream in upstreams})

    async def end() -> None:
        for host in hosts:
            await hand.in_network(pid, ["ss", "-K", "-4", "-t", "-n", "state", "syn-sent", "dst", host])

    return end


async def reset_open(hand: Hand, pid: int, placed: PlacedLink) -> None:
    """Tear down what is open on a link: both its caller and the proxy see a TCP reset. Raises EnvironmentBroken."""
    argv = ["ss", "-K", "-4", "-t", "-n", "state", "connected", "exclude", "time-wait", "src", placed.address]
    done = await hand.in_network(pid, argv)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise EnvironmentBroken(
            f"open connections cannot be reset on this host: {said or 'ss -K failed'}. It takes the program `ss` "
            "(package iproute2) and a kernel with CONFIG_INET_DIAG_DESTROY"
        )


def chain() -> bytes:
    """Rules that make the chain for silence, once, in front of all others but the counters."""
    return f"*filter\n:{_CHAIN} - [0:0]\n-I INPUT -j {_CHAIN}\n-I OUTPUT -j {_CHAIN}\nCOMMIT\n".encode()


def silence(links: Iterable[PlacedLink]) -> bytes:
    """Rules under which these links, and no others, neither hear nor say anything."""
    lines = [
        f"-A {_CHAIN} {way} {placed.address}/32 -p tcp -j DROP" for placed in links for way in ("-d", "-s")
    ]
    return "\n".join(["*filter", f":{_CHAIN} - [0:0]", *lines, "COMMIT", ""]).encode()
