"""A Docker Engine asked over its socket with the standard library alone: for processes that must be small and quick.

The janitor and the sweep need a dozen requests; importing the SDK for them takes longer than cleaning up.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from chaoskit.errors import EnvironmentBroken

API = "/v1.41"
"""Docker Engine 20.10 and everything since answers to it."""


_SOCKET = "unix:///var/run/docker.sock"


def engine_url() -> str:
    """DOCKER_HOST, else the engine's usual socket. The command line's contexts do not count."""
    return os.environ.get("DOCKER_HOST") or _SOCKET


class EngineSilent(EnvironmentBroken):
    """The engine could not be reached, or did not answer in time."""


class EngineRefused(EnvironmentBroken):
    """The engine answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class EngineSocket:
    """An engine at `unix:///path` or `tcp://host:port`; one connection a request, `within_s` for each wait on it.

    `api` is the prefix of every path; empty to ask an engine of unknown age for its version.
    """

    url: str
    within_s: float = 20.0
    api: str = API

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        within_s: float | None = None,
    ) -> Any:
        """The decoded answer, None if it is empty. Raises EngineSilent, or EngineRefused with the engine's words."""
        target = self.api + quote(path) + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Host": "docker", **({"Content-Type": "application/json"} if data else {})}
        limit_s = within_s or self.within_s
        connection = _connect(self.url, limit_s)
        try:
            connection.request(method, target, data, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            why = f"did not answer within {limit_s:g} s" if isinstance(error, TimeoutError) else _words(error)
            raise EngineSilent(f"the Docker engine at {self.url}: {why} ({method} {path})") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise EngineRefused(answer.status, f"{method} {path}: {_message(text)}")
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise EngineSilent(
                f"the Docker engine at {self.url} answered {method} {path} with no JSON: {text[:80]!r}"
            ) from None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _connect(url: str, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme in ("unix", "http+unix"):
        return _UnixConnection(parts.path, timeout)
    if parts.scheme in ("tcp", "http") and parts.hostname:
        return http.client.HTTPConnection(parts.hostname, parts.port or 2375, timeout=timeout)
    raise EnvironmentBroken(
        f"DOCKER_HOST {url!r}: an engine of this machine is needed, as unix:///var/run/docker.sock or tcp://127.0.0.1:2375"
    )


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200].decode(errors="replace").strip()
