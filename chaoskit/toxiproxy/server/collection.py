"""All proxies of one server, and every change the API can make to them.

A change is decided under one lock, which is never held while waiting for a connection, and made at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chaoskit.toxiproxy.server.address import Address, bind, resolve_listen
from chaoskit.toxiproxy.server.proxy import Proxy, World
from chaoskit.toxiproxy.server.toxic import DIRECTIONS, Toxic
from chaoskit.toxiproxy.server.wire import (
    BOOL,
    FLOAT,
    STRING,
    ApiError,
    bad_body,
    read_field,
    read_object,
    read_settings,
)
from chaoskit.toxiproxy.toxics import KINDS


@dataclass(frozen=True)
class ProxyInput:
    """A proxy as a client asked for it."""

    name: str
    listen: str
    upstream: str
    enabled: bool

    @classmethod
    def read(cls, value: Any, go_type: str = "toxiproxy.Proxy") -> ProxyInput:
        """From JSON; absent fields are empty, absent `enabled` is true."""
        source = read_object(value, go_type)
        texts = {
            name: read_field(source, "Proxy", name, STRING, "") for name in ("name", "listen", "upstream")
        }
        return cls(**texts, enabled=read_field(source, "Proxy", "enabled", BOOL, True))

    def check(self, place: str = "") -> None:
        """Raises `ApiError` 400 when a field is missing or no address."""
        for name in ("name", "upstream"):
            if not getattr(self, name):
                raise ApiError(f"missing required field: {name}{place}", 400)
        Address.parse(self.upstream, "upstream")


class ProxyCollection:
    """The state behind the API. Every method raises `ApiError` with what the client is to be told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.proxies: dict[str, Proxy] = {}
        self._changing = asyncio.Lock()

    def get(self, name: str) -> Proxy:
        if name not in self.proxies:
            raise ApiError("proxy not found", 404)
        return self.proxies[name]

    async def create(self, value: Any) -> Proxy:
        wanted = ProxyInput.read(value)
        wanted.check()
        address = await resolve_listen(wanted.listen)
        async with self._changing:
            if wanted.name in self.proxies:
                raise ApiError("proxy already exists", 409)
            return await self._add(wanted, address)

    async def update(self, name: str, value: Any) -> Proxy:
        proxy = self.get(name)
        source = read_object(value, "toxiproxy.Proxy")
        listen = read_field(source, "Proxy", "listen", STRING, proxy.listen)
        upstream = read_field(source, "Proxy", "upstream", STRING, proxy.upstream)
        enabled = read_field(source, "Proxy", "enabled", BOOL, proxy.enabled)
        Address.parse(upstream, "upstream")
        address = await resolve_listen(listen)
        async with self._changing:
            proxy = self.get(name)
            await proxy.update(None if str(address) == proxy.listen else address, upstream, enabled)
        return proxy

    async def delete(self, name: str) -> None:
        async with self._changing:
            self.get(name).stop()
            del self.proxies[name]

    async def populate(self, value: Any) -> tuple[list[Proxy], ApiError | None]:
        """Create or replace proxies; equal ones stay, with their toxics.

        Answers those made before an error and the error, like the real server.
        """
        made: list[Proxy] = []
        try:
            if value is not None and not isinstance(value, list):
                read_object([] if isinstance(value, dict) else value, "[]toxiproxy.Proxy")
                raise bad_body("json: cannot unmarshal object into Go value of type []toxiproxy.Proxy")
            wanted = [ProxyInput.read(item) for item in value or []]
            for number, item in enumerate(wanted, start=1):
                item.check(f" at proxy {number}")
            addresses = [await resolve_listen(item.listen) for item in wanted]
            async with self._changing:
                for item, address in zip(wanted, addresses, strict=True):
                    made.append(await self._add_or_replace(item, address))
        except ApiError as error:
            return made, error
        return made, None

    async def reset(self) -> None:
        """Remove every toxic and enable every proxy that can be; then say which could not."""
        problems: list[str] = []
        async with self._changing:
            for proxy in self.proxies.values():
                for toxic in list(proxy.toxics):
                    proxy.remove_toxic(toxic)
                try:
                    await proxy.update(None, proxy.upstream, enabled=True)
                except ApiError as error:
                    problems.append(error.message)
        if problems:
            raise ApiError("; ".join(problems), 500)

    def toxic(self, proxy_name: str, name: str) -> Toxic:
        toxic = self.get(proxy_name).toxic(name)
        if toxic is None:
            raise ApiError("toxic not found", 404)
        return toxic

    def add_toxic(self, proxy_name: str, value: Any) -> Toxic:
        proxy = self.get(proxy_name)
        source = read_object(value, "toxics.ToxicWrapper")
        type_name = read_field(source, "ToxicWrapper", "type", STRING, "")
        stream = read_field(source, "ToxicWrapper", "stream", STRING, "downstream")
        name = read_field(source, "ToxicWrapper", "name", STRING, "")
        toxicity = read_toxicity(source, 1.0)
        if stream.lower() not in DIRECTIONS:
            raise ApiError("stream was invalid, can be either upstream or downstream", 400)
        if type_name not in KINDS:
            raise ApiError("invalid toxic type", 400)
        kind = KINDS[type_name]
        name = name or f"{type_name}_{stream}"
        if proxy.toxic(name) is not None:
            raise ApiError("toxic already exists", 409)
        settings = read_settings(source.get("attributes"), kind.settings, None)
        toxic = Toxic(name, kind, stream, toxicity, settings)
        proxy.put_toxic(toxic)
        return toxic

    def update_toxic(self, proxy_name: str, name: str, value: Any) -> Toxic:
        old = self.toxic(proxy_name, name)
        source = read_object(value, "toxics.ToxicWrapper")
        toxicity = read_toxicity(source, old.toxicity)
        settings = read_settings(source.get("attributes"), old.kind.settings, old.settings)
        toxic = Toxic(old.name, old.kind, old.stream, toxicity, settings)
        self.get(proxy_name).put_toxic(toxic)
        return toxic

    def remove_toxic(self, proxy_name: str, name: str) -> None:
        self.get(proxy_name).remove_toxic(self.toxic(proxy_name, name))

    def stop(self) -> None:
        """Close everything."""
        for proxy in self.proxies.values():
            proxy.stop()

    async def _add(self, wanted: ProxyInput, address: Address) -> Proxy:
        proxy = Proxy(self.world, wanted.name, str(address), wanted.upstream)
        if wanted.enabled:
            await proxy.start(bind(address))
        self.proxies[wanted.name] = proxy
        return proxy

    async def _add_or_replace(self, wanted: ProxyInput, address: Address) -> Proxy:
        old = self.proxies.get(wanted.name)
        if old is not None:
            if old.listen == str(address) and old.upstream == wanted.upstream:
                return old
            old.stop()
        return await self._add(wanted, address)


def read_toxicity(source: Mapping[str, Any], default: float) -> float:
    """The share of connections a toxic applies to. Raises `ApiError` 400 outside 0 to 1."""
    toxicity = float(read_field(source, "ToxicWrapper", "toxicity", FLOAT, default))
    if not 0 <= toxicity <= 1:
        raise bad_body(f"toxicity must be from 0 to 1, not {toxicity}")
    return toxicity
