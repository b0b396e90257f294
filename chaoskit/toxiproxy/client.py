"""Drive a Toxiproxy server, real or embedded, and believe only what it shows when read back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from toxiproxy.proxy import Proxy as PackageProxy
from toxiproxy.toxic import Toxic as PackageToxic

from chaoskit.toxiproxy.consumer import Consumer, path
from chaoskit.toxiproxy.errors import (
    ChangeNotTaken,
    NotFound,
    RequestRefused,
    ServerUnreachable,
    ToxiproxyError,
)
from chaoskit.toxiproxy.states import LinkBytes, ProxySpec, ProxyState, ToxicState
from chaoskit.toxiproxy.toxics import check_toxic

# The package has no types.
_read_proxy: Callable[..., Any] = PackageProxy
_read_toxic: Callable[..., Any] = PackageToxic

_SAMPLE = re.compile(r"^toxiproxy_proxy_received_bytes_total\{(?P<labels>.*)\} (?P<value>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Toxiproxy:
    """One server. Instances for several servers live side by side, and one may be shared between threads.

    Every call ends within a few times `timeout_s`. Every call may raise `ServerUnreachable` (the outcome is
    unknown) and `RequestRefused`; every change raises `ChangeNotTaken` when the server does not show it afterwards.
    """

    def __init__(self, host: str, port: int, timeout_s: float = 2.0) -> None:
        self.host = host
        self.port = port
        self._api = Consumer(host, port, timeout_s)

    def version(self) -> str:
        """The version the server answers, "2.12.0". Raises `ToxiproxyError` when something else answers."""
        try:
            return str(self._api.get("/version").json()["version"])
        except (ValueError, KeyError, TypeError):
            raise ToxiproxyError(
                f"what answers at {self._api.base_url} is no Toxiproxy (no version): choose another port"
            ) from None

    def wait_ready(self, deadline_s: float) -> str:
        """Wait until the server answers its version. Raises `ServerUnreachable` after `deadline_s` seconds."""
        end = time.monotonic() + deadline_s
        while True:
            try:
                return self.version()
            except ServerUnreachable:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.01)

    def proxies(self) -> dict[str, ProxyState]:
        """All proxies by name."""
        return {name: _proxy_state(found) for name, found in self._api.get("/proxies").json().items()}

    def proxy(self, name: str) -> ProxyState:
        """One proxy. Raises `NotFound`."""
        return _proxy_state(self._api.get(path("proxies", name)).json())

    def create(self, name: str, listen: str, upstream: str, enabled: bool = True) -> ProxyState:
        """Create a proxy; port 0 in `listen` takes a free one. Raises `AlreadyExists`."""
        _require_address(listen, "listen")
        _require_address(upstream, "upstream")
        body = {"name": name, "listen": listen, "upstream": upstream, "enabled": enabled}
        self._api.post("/proxies", body)
        state = self.proxy(name)
        _require(state.upstream == upstream and state.enabled == enabled, f"create proxy {name!r}", state)
        return state

    def populate(self, specs: Iterable[ProxySpec]) -> list[ProxyState]:
        """Create or replace proxies in one request; those that are already so stay, with their toxics."""
        wanted = list(specs)
        body = [
            {"name": spec.name, "listen": spec.listen, "upstream": spec.upstream, "enabled": spec.enabled}
            for spec in wanted
        ]
        for spec in wanted:
            _require_address(spec.listen, "listen")
            _require_address(spec.upstream, "upstream")
        self._api.post("/populate", body)
        states = self.proxies()
        for spec in wanted:
            state = states.get(spec.name)
            if state is not None and state.enabled != spec.enabled:
                # A proxy that was there already keeps its `enabled`, whatever the request says.
                state = states[spec.name] = self.set_enabled(spec.name, spec.enabled)
            _require(state is not None and state.upstream == spec.upstream, f"populate {spec.name!r}", state)
        return [states[spec.name] for spec in wanted]

    def set_enabled(self, name: str, enabled: bool) -> ProxyState:
        """Enable, or disable: refuse new connections and close the open ones. Raises `NotFound`."""
        self._api.patch(path("proxies", name), {"enabled": enabled})
        state = self.proxy(name)
        _require(state.enabled == enabled, f"set proxy {name!r} enabled={enabled}", state)
        return state

    def redirect(self, name: str, upstream: str) -> ProxyState:
        """Lead a proxy somewhere else; its open connections are closed. Raises `NotFound`."""
        _require_address(upstream, "upstream")
        self._api.patch(path("proxies", name), {"upstream": upstream})
        state = self.proxy(name)
        _require(state.upstream == upstream, f"lead proxy {name!r} to {upstream}", state)
        return state

    def add_toxic(
        self,
        proxy: str,
        type: str,
        stream: str,
        attributes: Mapping[str, int],
        toxicity: float = 1.0,
        name: str | None = None,
    ) -> ToxicState:
        """Add a toxic; its name defaults to `<type>_<stream>`. Raises `InvalidToxic`, `NotFound`, `AlreadyExists`."""
        expected = check_toxic(type, stream, attributes, toxicity).as_attributes()
        name = name or f"{type}_{stream}"
        body = {
            "name": name,
            "type": type,
            "stream": stream,
            "toxicity": toxicity,
            "attributes": dict(attributes),
        }
        self._api.post(path("proxies", proxy, "toxics"), body)
        return self._read_back_toxic(proxy, name, expected, toxicity)

    def update_toxic(
        self, proxy: str, toxic: str, attributes: Mapping[str, int], toxicity: float | None = None
    ) -> ToxicState:
        """Change some attributes, and the toxicity when given. Raises `InvalidToxic` and `NotFound`."""
        before = self._toxic(proxy, toxic)
        share = before.toxicity if toxicity is None else toxicity
        merged = {**before.attributes, **attributes}
        expected = check_toxic(before.type, before.stream, merged, share).as_attributes()
        body = {"attributes": merged, "toxicity": share}
        self._api.patch(path("proxies", proxy, "toxics", toxic), body)
        return self._read_back_toxic(proxy, toxic, expected, share)

    def remove_toxic(self, proxy: str, toxic: str) -> None:
        """Remove a toxic; it is fine when it, or its proxy, is not there."""
        self._gone(lambda: self._api.delete(path("proxies", proxy, "toxics", toxic)))
        try:
            state = self.proxy(proxy)
        except NotFound:
            return
        _require(state.toxic(toxic) is None, f"remove toxic {toxic!r}", state)

    def delete(self, name: str) -> None:
        """Delete a proxy and close its connections; it is fine when it is not there."""
        self._gone(lambda: self._api.delete(path("proxies", name)))
        _require(name not in self.proxies(), f"delete proxy {name!r}", None)

    def reset(self) -> None:
        """Remove every toxic and enable every proxy."""
        self._api.post("/reset")
        for state in self.proxies().values():
            _require(state.enabled and not state.toxics, "reset", state)

    def traffic(self) -> dict[str, LinkBytes]:
        """Bytes by proxy since the server started; a proxy that never moved any may be absent.

        The real server counts only closed connections, and only when it was started with `-proxy-metrics`.
        """
        try:
            text = self._api.get("/metrics").text
        except NotFound as error:
            raise RequestRefused(
                "this server counts no bytes: start it with -proxy-metrics", error.status, error.reason
            ) from None
        sums: dict[str, dict[str, int]] = {}
        for sample in _SAMPLE.finditer(text):
            labels = {key: _unescape(value) for key, value in _LABEL.findall(sample["labels"])}
            ways = sums.setdefault(labels["proxy"], {"upstream": 0, "downstream": 0})
            ways[labels["direction"]] += int(float(sample["value"]))
        return {name: LinkBytes(ways["upstream"], ways["downstream"]) for name, ways in sums.items()}

    def _toxic(self, proxy: str, name: str) -> ToxicState:
        return _toxic_state(self._api.get(path("proxies", proxy, "toxics", name)).json())

    def _read_back_toxic(
        self, proxy: str, name: str, attributes: dict[str, int], toxicity: float
    ) -> ToxicState:
        state = self._toxic(proxy, name)
        # Toxicity is a 32-bit float on the real server.
        same = dict(state.attributes) == attributes and abs(state.toxicity - toxicity) < 1e-6
        _require(same, f"toxic {name!r} on proxy {proxy!r}", state)
        return state

    def _gone(self, delete: Callable[[], Any]) -> None:
        try:
            delete()
        except NotFound:
            pass


def _proxy_state(found: Mapping[str, Any]) -> ProxyState:
    proxy = _read_proxy(**found)
    toxics = tuple(_toxic_state(toxic) for toxic in found["toxics"] or ())
    return ProxyState(proxy.name, proxy.listen, proxy.upstream, proxy.enabled, toxics)


def _toxic_state(found: Mapping[str, Any]) -> ToxicState:
    toxic = _read_toxic(**found)
    attributes = MappingProxyType(dict(toxic.attributes))
    return ToxicState(toxic.name, toxic.type, toxic.stream.lower(), float(toxic.toxicity), attributes)


def _unescape(label: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], label)


def _require(taken: bool, change: str, state: ProxyState | ToxicState | None) -> None:
    if not taken:
        raise ChangeNotTaken(
            f"the server accepted «{change}» but shows {state}: reset it, or restart the server"
        )


def _require_address(address: str, what: str) -> None:
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) <= 65535):
        # An empty host would listen on every interface of the machine.
        raise ToxiproxyError(f'{what} must be "host:port" with a host, not {address!r}')
