"""HTTP to one Toxiproxy server: the strict, instance-bound counterpart of toxiproxy-python's `APIConsumer`.

The package keeps host and port on a class, sets no timeout, honours HTTP_PROXY for 127.0.0.1 and takes a 500 for
success. This consumer has its own address and session, a timeout on every call, and raises on every non-2xx.
"""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import quote

import requests

from chaoskit.toxiproxy.errors import AlreadyExists, NotFound, RequestRefused, ServerUnreachable

_KINDS = {404: NotFound, 409: AlreadyExists}
_NEXT = {
    403: "the API refuses user agents that start with Mozilla/",
    404: "look at the names with proxies()",
    409: "delete it first, or choose another name",
    500: "the server could not do it, often because an address is taken; see its log",
    503: "the server's control plane is stuck behind an unread connection: restart the server",
}


def path(*parts: str) -> str:
    """A URL path of quoted parts, so that any name is one part."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


class Consumer:
    """Safe to share between threads: each has a session of its own."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self.base_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self.timeout_s = timeout_s
        self._local = threading.local()

    def get(self, url: str) -> Any:
        return self.call("GET", url)

    def delete(self, url: str) -> Any:
        return self.call("DELETE", url)

    def post(self, url: str, body: Any = None) -> Any:
        return self.call("POST", url, body)

    def patch(self, url: str, body: Any) -> Any:
        return self.call("PATCH", url, body)

    def call(self, method: str, url: str, body: Any = None) -> Any:
        """The response to one request.

        Raises `ServerUnreachable` when there is no answer in time, `NotFound`, `AlreadyExists` or
        `RequestRefused` when the answer is not a success.
        """
        try:
            response = self._session().request(
                method, self.base_url + url, json=body, timeout=self.timeout_s, allow_redirects=False
            )
        except requests.RequestException as error:
            raise ServerUnreachable(
                f"no answer from Toxiproxy at {self.base_url} to {method} {url} within {self.timeout_s} s "
                f"({type(error).__name__}): the change may or may not have been made. "
                "Read the state back; if that hangs too, restart the server"
            ) from error
        self._check(method, url, response)
        return response

    def _check(self, method: str, url: str, response: Any) -> None:
        if 200 <= response.status_code < 300:
            return
        try:
            reason = str(response.json()["error"])
        except (ValueError, KeyError, TypeError):
            reason = response.text.strip() or response.reason
        advice = _NEXT.get(response.status_code, "correct the request")
        message = f"Toxiproxy at {self.base_url} answered {response.status_code} to {method} {url}: {reason}"
        kind = _KINDS.get(response.status_code, RequestRefused)
        raise kind(f"{message}; {advice}", response.status_code, reason)

    def _session(self) -> Any:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False  # a proxy from the environment would be asked for 127.0.0.1
            # A kept connection may die with a restarted server and fail the next request for nothing.
            session.headers["Connection"] = "close"
            session.headers["User-Agent"] = "chaoskit"
        return session
