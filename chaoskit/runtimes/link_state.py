"""One link: the facts that decide over it, and a Toxiproxy server's proxies brought to them.

Whether a link lets anybody in follows from four independent facts: its callee listens, no fault has cut it, no mirror
holds it down, nobody has fenced its callee. Undoing one of them therefore never overrides another.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

from chaoskit.model.estate import LinkStanding, Toxic
from chaoskit.model.system import Link
from chaoskit.toxiproxy.client import Toxiproxy

Mode = Literal["refused", "silent"]
_NEVER_MS = 2**31 - 1
_STREAMS: tuple[Literal["upstream", "downstream"], ...] = ("upstream", "downstream")
# Bytes are dropped, and the end of a connection whose callee has died is held back: to its caller it just hangs.
# A chain works in the order in which its toxics were added: what holds the end back comes after what drops.
SILENCE = tuple(
    Toxic(f"chaoskit-{word}-{stream}", type_, stream, attributes)
    for stream in _STREAMS
    for word, type_, attributes in (
        ("silent", "timeout", {"timeout": 0}),
        ("open", "slow_close", {"delay": _NEVER_MS}),
    )
)


@dataclass
class LinkState:
    """`proxies` are its proxies' names with the callee's port of each, the main one first.

    `upstreams` leads them (by port) to where the callee is now; None leaves them where they were made to lead.
    `led` are the upstreams that they were last told to lead to. `silence` is what a silent mirror is made with, where
    toxics make it.
    """

    link: Link
    proxies: dict[str, int]
    listens: bool = False
    cuts: set[str] = field(default_factory=set)
    mirror: Mode | None = None
    draining: bool = False
    fenced: bool = False
    toxics: dict[str, Toxic] = field(default_factory=dict)
    upstreams: dict[int, str] | None = None
    led: frozenset[str] = frozenset()
    silence: tuple[Toxic, ...] = SILENCE
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def cut(self) -> bool:
        """Somebody has cut it: a fault, a response. Whoever takes his cut back leaves the others'."""
        return bool(self.cuts)

    @property
    def open(self) -> bool:
        return self.listens and not self.cut and self.mirrored != "refused" and not self.fenced

    @property
    def mirrored(self) -> Mode | None:
        """The mirror that shows: not yet on a link that had a fault when its callee died, and drains."""
        return None if self.draining else self.mirror

    @property
    def in_the_way(self) -> frozenset[str]:
        """Upstreams to which a dial under way holds up the next change: to close a proxy's listener, or to lead it
        elsewhere, the real server first lets that dial end."""
        now = frozenset((self.upstreams or {}).values())
        return self.led - now if self.open else self.led | now

    @property
    def faulted(self) -> bool:
        """A fault lies on it."""
        return self.cut or bool(self.toxics)

    @property
    def wanted(self) -> dict[str, Toxic]:
        """The toxics it should have: those of faults, and a mirror's silence."""
        silent = self.mirrored == "silent" and not self.fenced
        return {**self.toxics, **({toxic.name: toxic for toxic in self.silence} if silent else {})}


def bring(client: Toxiproxy, state: LinkState, known: frozenset[str] = frozenset()) -> None:
    """Bring the link's proxies to what the facts say, every change read back; blocks.

    Toxics that users' own scripts have laid are left alone: only those of `known` and of a mirror are taken off.
    """
    ours = known | {toxic.name for toxic in SILENCE}
    for proxy, port in state.proxies.items():
        now = client.proxy(proxy)
        has = {toxic.name for toxic in now.toxics}
        wanted = state.wanted
        if now.enabled and not state.open:
            client.set_enabled(proxy, False)
        for name in has & (ours - wanted.keys()):
            client.remove_toxic(proxy, name)
        for name, toxic in wanted.items():
            if name not in has:
                client.add_toxic(proxy, toxic.type, toxic.stream, toxic.attributes, toxic.toxicity, name)
        upstream = (state.upstreams or {}).get(port, now.upstream)
        if upstream != now.upstream:
            client.redirect(proxy, upstream)
        if state.open:
            client.set_enabled(proxy, True)
    state.led = frozenset((state.upstreams or {}).values())


def clear(client: Toxiproxy, state: LinkState) -> LinkStanding:
    """Take off whatever lies on the link's proxies, whoever laid it, and read them back; blocks."""
    found = _toxics(client, state)
    bring(client, state, frozenset(found))
    enabled = all(client.proxy(name).enabled for name in state.proxies)
    return LinkStanding(enabled, _toxics(client, state), found)


def _toxics(client: Toxiproxy, state: LinkState) -> tuple[str, ...]:
    return tuple(dict.fromkeys(toxic.name for name in state.proxies for toxic in client.proxy(name).toxics))


def proxies_of(link: Link, ports: tuple[int, ...]) -> dict[str, int]:
    """The proxy of the main port carries the link's name, as drills write it."""
    return {link.name if port == ports[0] else f"{link.name} #{port}": port for port in ports}
