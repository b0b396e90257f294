"""The adapter's own promises: several servers, no silent failure, nothing sent that kills a server."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from chaoskit.toxiproxy.client import Toxiproxy
from chaoskit.toxiproxy.errors import (
    ChangeNotTaken,
    InvalidToxic,
    NotFound,
    RequestRefused,
    ServerStartError,
    ServerUnreachable,
    ToxiproxyError,
)
from chaoskit.toxiproxy.process import ServerProcess, find_real_server
from chaoskit.toxiproxy.states import LinkBytes

Answers = dict[tuple[str, str], tuple[int, Any]]


@contextmanager
def fake_server(answers: Answers) -> Iterator[tuple[Toxiproxy, list[str]]]:
    """A server that gives canned answers, and the list of what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(f"{self.command} {self.path}")
            status, body = answers.get(
                (self.command, self.path), (404, {"error": "not found", "status": 404})
            )
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *arguments: Any) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Toxiproxy("127.0.0.1", httpd.server_port), asked
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


PROXY = {"name": "a", "listen": "127.0.0.1:1", "upstream": "h:2", "enabled": True, "toxics": []}


def test_two_servers_side_by_side_and_many_threads() -> None:
    with ServerProcess.embedded() as one, ServerProcess.embedded() as two:
        servers = (one.api, two.api)

        def work(number: int) -> None:
            api = servers[number % 2]
            api.create(f"p{number}", "127.0.0.1:0", "127.0.0.1:9")
            api.add_toxic(f"p{number}", "latency", "upstream", {"latency": number})

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(24)))
        assert sorted(one.api.proxies()) == sorted(f"p{number}" for number in range(0, 24, 2))
        assert two.api.proxy("p7").toxics[0].attributes == {"latency": 7, "jitter": 0}


def test_a_proxy_from_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with ServerProcess.embedded() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9")
        assert Toxiproxy("127.0.0.1", server.port).version() == "2.12.0"


def test_a_hung_server_is_unreachable_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        api = Toxiproxy("127.0.0.1", mute.getsockname()[1], timeout_s=0.1)
        with pytest.raises(ServerUnreachable, match="restart the server"):
            api.reset()
        with pytest.raises(ServerUnreachable):
            api.wait_ready(0.2)


def test_what_is_no_toxiproxy() -> None:
    with (
        fake_server({("GET", "/version"): (200, b"hello")}) as (api, _),
        pytest.raises(ToxiproxyError, match="port"),
    ):
        api.version()


@pytest.mark.parametrize("body", [{"error": "boom", "status": 500}, b"<html>boom</html>", b""])
def test_a_500_is_an_error_whatever_its_body(body: Any) -> None:
    with (
        fake_server({("PATCH", "/proxies/a"): (500, body)}) as (api, _),
        pytest.raises(RequestRefused) as refusal,
    ):
        api.set_enabled("a", False)
    assert refusal.value.status == 500


def test_a_change_that_is_not_shown_is_an_error() -> None:
    toxics = "/proxies/a/toxics"
    shown = {
        "name": "t",
        "type": "latency",
        "stream": "upstream",
        "toxicity": 1,
        "attributes": {"latency": 1, "jitter": 0},
    }
    answers: Answers = {
        ("PATCH", "/proxies/a"): (200, PROXY),
        ("GET", "/proxies/a"): (200, {**PROXY, "toxics": [shown]}),
        ("GET", "/proxies"): (200, {"a": {**PROXY, "toxics": [shown]}}),
        ("POST", toxics): (200, shown),
        ("GET", f"{toxics}/t"): (200, shown),
        ("DELETE", f"{toxics}/t"): (204, b""),
        ("DELETE", "/proxies/a"): (204, b""),
        ("POST", "/reset"): (204, b""),
    }
    with fake_server(answers) as (api, _):
        for change in (
            lambda: api.set_enabled("a", False),
            lambda: api.add_toxic("a", "latency", "upstream", {"latency": 2}, name="t"),
            lambda: api.remove_toxic("a", "t"),
            lambda: api.delete("a"),
            lambda: api.reset(),
        ):
            with pytest.raises(ChangeNotTaken):
                change()


@pytest.mark.parametrize(
    ("type", "stream", "attributes", "toxicity", "word"),
    [
        ("bandwidth", "upstream", {"rate": -1}, 1, "rate"),
        ("slicer", "upstream", {}, 1, "average_size"),
        ("slicer", "upstream", {"average_size": 5, "size_variation": 5}, 1, "size_variation"),
        ("latency", "upstream", {"latency": 1, "jitter": 2**62}, 1, "jitter"),
        ("latency", "upstream", {"latancy": 1}, 1, "latancy"),
        ("latency", "upstream", {"latency": 1.5}, 1, "integer"),
        ("latency", "upstream", {"latency": True}, 1, "integer"),
        ("latency", "sideways", {"latency": 1}, 1, "sideways"),
        ("latency", "upstream", {"latency": 1}, 1.5, "toxicity"),
        ("packet_loss", "upstream", {}, 1, "known: bandwidth"),
    ],
)
def test_nothing_is_sent_that_could_kill_a_server(
    type: str, stream: str, attributes: Any, toxicity: float, word: str
) -> None:
    with fake_server({}) as (api, asked):
        with pytest.raises(InvalidToxic, match=word):
            api.add_toxic("a", type, stream, attributes, toxicity)
        assert asked == []


def test_an_update_is_checked_with_the_attributes_that_stay() -> None:
    with ServerProcess.embedded() as server:
        server.api.create("a", "127.0.0.1:0", "127.0.0.1:9")
        server.api.add_toxic("a", "slicer", "upstream", {"average_size": 10, "size_variation": 5})
        with pytest.raises(InvalidToxic, match="size_variation"):
            server.api.update_toxic("a", "slicer_upstream", {"average_size": 5})
        changed = server.api.update_toxic("a", "slicer_upstream", {"average_size": 6}, toxicity=0.3)
        assert (dict(changed.attributes), changed.toxicity) == (
            {"average_size": 6, "size_variation": 5, "delay": 0},
            0.3,
        )


@pytest.mark.parametrize("listen", ["", ":80", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_without_a_host_is_never_sent(listen: str) -> None:
    with fake_server({}) as (api, asked):
        with pytest.raises(ToxiproxyError, match="listen"):
            api.create("a", listen, "127.0.0.1:9")
        assert asked == []


def test_traffic_sums_over_addresses_and_reads_escaped_names() -> None:
    received, sent = "toxiproxy_proxy_received_bytes_total", "toxiproxy_proxy_sent_bytes_total"
    proxy = r'proxy="a \"b\"",upstream="u"'
    metrics = (
        f"# TYPE {received} counter\n"
        f'{received}{{direction="upstream",listener="l",{proxy}}} 1e+06\n'
        f'{received}{{direction="upstream",listener="m",{proxy}}} 5\n'
        f'{sent}{{direction="upstream",listener="m",{proxy}}} 7\n'
    ).encode()
    with fake_server({("GET", "/metrics"): (200, metrics)}) as (api, _):
        assert api.traffic() == {'a "b"': LinkBytes(1_000_005, 0)}
    with fake_server({}) as (api, _), pytest.raises(RequestRefused, match="-proxy-metrics"):
        api.traffic()


def test_a_missing_binary_names_the_script(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerStartError, match="scripts/get-toxiproxy"):
        find_real_server(tmp_path)


def test_not_found_is_told_from_other_refusals() -> None:
    with fake_server({}) as (api, _), pytest.raises(NotFound):
        api.proxy("a")
