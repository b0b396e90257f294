"""A journey over HTTP as the bytes of its requests."""

from __future__ import annotations

from urllib.parse import quote

from pydantic_core import to_json

from chaoskit.conductor.draw import Template, Values, compile_tree, percent_encoded
from chaoskit.errors import InputError
from chaoskit.model.journey import Journey

_URL_LITERALS = "/?&=%:@!$'()*+,;~-._[]"


class HttpMessages:
    """Makes the bytes of one journey's requests; raises InputError for templates that nothing fills."""

    def __init__(self, journey: Journey, known: frozenset[str], where: str, host: str, *, keep: bool) -> None:
        path = quote("/" + journey.url.partition("/")[2], safe=_URL_LITERALS + "{}")
        self._path = Template.compile(path, known, f"{where}.{journey.method.lower()}")
        self._method = journey.method
        self._headers = Template.compile(_headers(journey, host, keep, where), known, f"{where}.headers")
        self._body = None if journey.json_ is None else compile_tree(journey.json_, known, f"{where}.json")

    def make(self, values: Values) -> tuple[bytes, bytes]:
        """The request, and its body, which is what the books may keep a hash of."""
        body = b"" if self._body is None else to_json(self._body(values))
        length = f"Content-Length: {len(body)}\r\n" if self._method != "GET" or body else ""
        head = (
            f"{self._method} {self._path.fill(values, percent_encoded)} HTTP/1.1\r\n"
            f"{self._headers.fill(values, _one_line)}{length}\r\n"
        )
        return head.encode() + body, body


def _headers(journey: Journey, host: str, keep: bool, where: str) -> str:
    headers = {"Host": host, "User-Agent": "chaoskit", "Accept": "application/json"}
    if journey.json_ is not None:
        headers["Content-Type"] = "application/json"
    own = {name.lower() for name in journey.headers}
    headers = {name: value for name, value in headers.items() if name.lower() not in own} | journey.headers
    if reserved := own & {"content-length", "transfer-encoding", "connection"}:
        raise InputError(f"{where}.headers: {', '.join(sorted(reserved))} is set by the measurer")
    headers["Connection"] = "keep-alive" if keep else "close"
    for name, value in headers.items():
        if (
            not name
            or not name.isascii()
            or any(c in name + value for c in "\r\n\0")
            or set(" :") & set(name)
        ):
            raise InputError(f"{where}.headers: {name!r} cannot be sent as a header")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


def _one_line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")
