"""What a Toxiproxy server is to drills: one suite, which the embedded server and the real one both pass.

Times: a lower bound is what is promised; upper bounds are only there so that a hang is a failure.
"""

from __future__ import annotations

import secrets
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaoskit.runtimes.docker.engine import Engine
from chaoskit.runtimes.docker.toxiproxy_image import toxiproxy_image
from chaoskit.toxiproxy.client import Toxiproxy
from chaoskit.toxiproxy.errors import AlreadyExists, NotFound, RequestRefused, ServerStartError
from chaoskit.toxiproxy.process import ServerProcess, find_real_server
from chaoskit.toxiproxy.states import ProxySpec, ProxyState
from tests.toxiproxy.peers import (
    Upstream,
    call,
    connect,
    read_exactly,
    read_to_end,
    refused,
    silent,
    upstream,
)

ROOT = Path(__file__).resolve().parents[2]
#: Timers tick in milliseconds, and the two ends read clocks of their own.
TICK_S = 0.005


@contextmanager
def in_its_image() -> Iterator[Any]:
    """The server as the docker runtime starts it, but on this machine's own network: on a free port of its own."""
    engine = Engine()
    try:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        container = engine.client.containers.run(
            toxiproxy_image(),
            ["-host=127.0.0.1", f"-port={port}", "-proxy-metrics"],
            name=f"chaoskit-test-{secrets.token_hex(4)}-contract",
            network_mode="host",
            detach=True,
        )
        try:
            api = Toxiproxy("127.0.0.1", port)
            api.wait_ready(20)
            yield SimpleNamespace(api=api, host="127.0.0.1", port=port)
        finally:
            container.remove(force=True)
    finally:
        engine.close()


@pytest.fixture(scope="module", params=["embedded", "real", pytest.param("image", marks=pytest.mark.docker)])
def process(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    if request.param == "embedded":
        with ServerProcess.embedded() as server:
            yield server
        return
    if request.param == "image":
        with in_its_image() as server:
            yield server
        return
    try:
        binary = find_real_server(ROOT)
    except ServerStartError:
        pytest.fail(
            "the contract needs the real Toxiproxy server 2.12: run scripts/get-toxiproxy", pytrace=False
        )
    with ServerProcess.real(binary) as server:
        yield server


@pytest.fixture
def server(process: ServerProcess) -> Iterator[ServerProcess]:
    yield process
    for name in process.api.proxies():
        process.api.delete(name)


@pytest.fixture
def api(server: ServerProcess) -> Toxiproxy:
    return server.api


@pytest.fixture
def callee() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture
def link(api: Toxiproxy, callee: Upstream) -> ProxyState:
    return api.create("link", "127.0.0.1:0", callee.address)


@pytest.fixture
def pair(link: ProxyState, callee: Upstream) -> Iterator[tuple[socket.socket, socket.socket]]:
    """An open connection: the caller's socket and the callee's."""
    caller = connect(link.listen)
    called = callee.accept()
    yield caller, called
    caller.close()
    called.close()


def proxy_json(
    link: ProxyState, toxics: list[dict[str, Any]] | None = None, enabled: bool = True
) -> dict[str, Any]:
    return {
        "name": link.name,
        "listen": link.listen,
        "upstream": link.upstream,
        "enabled": enabled,
        "Logger": {},
        "toxics": toxics or [],
    }


def test_version(server: ServerProcess) -> None:
    answer = call(server, "GET", "/version")
    assert (answer.status, answer.text) == (200, '{"version": "2.12.0"}\n')
    assert answer.content_type == "application/json;charset=utf-8"


def test_create_show_and_delete(server: ServerProcess, callee: Upstream) -> None:
    body = {"name": "a", "listen": "127.0.0.1:0", "upstream": callee.address}
    made = call(server, "POST", "/proxies", body)
    assert (made.status, made.content_type) == (201, "application/json")
    assert not made.json["listen"].endswith(":0")
    assert list(made.json) == ["name", "listen", "upstream", "enabled", "Logger", "toxics"]
    assert made.json["enabled"] is True

    shown = call(server, "GET", "/proxies/a")
    assert (shown.status, shown.text) == (200, made.text)
    index = call(server, "GET", "/proxies")
    assert (index.status, index.json) == (200, {"a": made.json})

    gone = call(server, "DELETE", "/proxies/a")
    assert (gone.status, gone.text) == (204, "")
    assert refused(made.json["listen"])
    assert call(server, "GET", "/proxies").json == {}


def test_a_proxy_created_disabled_refuses(api: Toxiproxy, callee: Upstream) -> None:
    assert not api.create("off", "127.0.0.1:0", callee.address, enabled=False).enabled
    on = api.set_enabled("off", True)
    connect(on.listen).close()


UNMARSHAL = "bad request body: json: cannot unmarshal"
NO_PROXY = ("proxy not found", 404)
NO_TOXIC = ("toxic not found", 404)


@pytest.mark.parametrize(
    ("method", "path", "body", "error", "status"),
    [
        ("POST", "/proxies", "", "bad request body: EOF", 400),
        ("POST", "/proxies", '{"name":"x"', "bad request body: unexpected EOF", 400),
        (
            "POST",
            "/proxies",
            "[]",
            "bad request body: json: cannot unmarshal array into Go value of type toxiproxy.Proxy",
            400,
        ),
        (
            "POST",
            "/proxies",
            "x",
            "bad request body: invalid character 'x' looking for beginning of value",
            400,
        ),
        ("POST", "/proxies", "{}", "missing required field: name", 400),
        ("POST", "/proxies", "null", "missing required field: name", 400),
        ("POST", "/proxies", '{"name":"x"}', "missing required field: upstream", 400),
        (
            "POST",
            "/proxies",
            '{"name":1}',
            "bad request body: json: cannot unmarshal number into Go struct field Proxy.name of type string",
            400,
        ),
        (
            "PATCH",
            "/proxies/link",
            '{"enabled":"no"}',
            "bad request body: json: cannot unmarshal string into Go struct field Proxy.enabled of type bool",
            400,
        ),
        ("POST", "/proxies", '{"name":"link","upstream":"127.0.0.1:1"}', "proxy already exists", 409),
        ("GET", "/proxies/none", None, *NO_PROXY),
        ("PATCH", "/proxies/none", "{}", *NO_PROXY),
        ("POST", "/proxies/none", "{}", *NO_PROXY),
        ("DELETE", "/proxies/none", None, *NO_PROXY),
        ("GET", "/proxies/none/toxics", None, *NO_PROXY),
        ("POST", "/proxies/none/toxics", "{}", *NO_PROXY),
        ("GET", "/proxies/link/toxics/none", None, *NO_TOXIC),
        ("PATCH", "/proxies/link/toxics/none", "{}", *NO_TOXIC),
        ("DELETE", "/proxies/link/toxics/none", None, *NO_TOXIC),
        ("PATCH", "/proxies/link", "", "bad request body: EOF", 400),
        ("POST", "/proxies/link/toxics", '{"type":"none"}', "invalid toxic type", 400),
        ("POST", "/proxies/link/toxics", "{}", "invalid toxic type", 400),
        (
            "POST",
            "/proxies/link/toxics",
            '{"type":"none","stream":"side"}',
            "stream was invalid, can be either upstream or downstream",
            400,
        ),
        ("POST", "/proxies/link/toxics", '{"type":"latency","name":"there"}', "toxic already exists", 409),
        (
            "POST",
            "/proxies/link/toxics",
            '{"type":"latency","attributes":{"latency":"x"}}',
            "bad request body: json: cannot unmarshal string into Go struct field "
            "LatencyToxic.attributes.latency of type int64",
            400,
        ),
        (
            "PATCH",
            "/proxies/link/toxics/there",
            '{"attributes":{"jitter":1.5}}',
            "bad request body: json: cannot unmarshal number 1.5 into Go struct field "
            "LatencyToxic.attributes.jitter of type int64",
            400,
        ),
    ],
)
def test_errors_have_the_same_words(
    server: ServerProcess, link: ProxyState, method: str, path: str, body: str | None, error: str, status: int
) -> None:
    server.api.add_toxic("link", "latency", "upstream", {"latency": 1}, name="there")
    answer = call(server, method, path, body)
    assert (answer.status, answer.json) == (status, {"error": error, "status": status})
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.text.endswith("\n")


def test_what_no_route_knows(server: ServerProcess) -> None:
    unknown = call(server, "GET", "/none")
    assert (unknown.status, unknown.text) == (404, "404 page not found\n")
    assert call(server, "GET", "/proxies/").status == 404
    assert (call(server, "PUT", "/proxies").status, call(server, "GET", "/reset").status) == (405, 405)


def test_browsers_are_refused(server: ServerProcess) -> None:
    answer = call(server, "GET", "/version", agent="Mozilla/5.0 (X11)")
    assert (answer.status, answer.text) == (403, "User agent not allowed\n")


def test_field_names_are_matched_like_go_does(server: ServerProcess, callee: Upstream) -> None:
    body = f'{{"Name":"a","UPSTREAM":"{callee.address}","listen":"127.0.0.1:0","more":1}} trailing'
    assert call(server, "POST", "/proxies", body).status == 201


def test_an_address_that_is_taken(server: ServerProcess, link: ProxyState) -> None:
    answer = call(server, "POST", "/proxies", {"name": "b", "listen": link.listen, "upstream": link.upstream})
    text = f"listen tcp {link.listen}: bind: address already in use"
    assert (answer.status, answer.json) == (500, {"error": text, "status": 500})
    assert "b" not in server.api.proxies()


def test_toxic_defaults_order_and_updates(server: ServerProcess, link: ProxyState) -> None:
    path = "/proxies/link/toxics"
    down = call(server, "POST", path, {"type": "latency", "attributes": {"latency": 5}})
    assert (down.status, down.content_type) == (200, "application/json")
    expected = '{"attributes":{"latency":5,"jitter":0},"name":"latency_downstream","type":"latency",'
    assert down.text == expected + '"stream":"downstream","toxicity":1}'
    up = call(server, "POST", path, {"type": "slow_close", "stream": "upstream", "toxicity": 0.25})
    assert up.json["attributes"] == {"delay": 0}
    listed = call(server, "GET", path)
    assert (listed.status, listed.json) == (200, [up.json, down.json])
    assert call(server, "GET", "/proxies/link").json == proxy_json(link, [up.json, down.json])

    for method, jitter in (("POST", 3), ("PATCH", 4)):
        changed = call(server, method, f"{path}/latency_downstream", {"attributes": {"jitter": jitter}})
        assert (changed.status, changed.json["attributes"]) == (200, {"latency": 5, "jitter": jitter})
    halved = call(server, "PATCH", f"{path}/latency_downstream", {"toxicity": 0.5})
    assert (halved.json["toxicity"], halved.json["attributes"]["jitter"]) == (0.5, 4)
    assert call(server, "GET", f"{path}/latency_downstream").text == halved.text

    gone = call(server, "DELETE", f"{path}/latency_downstream")
    assert (gone.status, gone.text) == (204, "")
    assert call(server, "GET", path).json == [up.json]


@pytest.mark.parametrize(
    ("type", "attributes"),
    [
        ("latency", {"latency": 1, "jitter": 1}),
        ("bandwidth", {"rate": 1}),
        ("slow_close", {"delay": 1}),
        ("timeout", {"timeout": 1}),
        ("reset_peer", {"timeout": 1}),
        ("slicer", {"average_size": 2, "size_variation": 1, "delay": 1}),
        ("limit_data", {"bytes": 1}),
        ("noop", {}),
    ],
)
def test_every_toxic_is_known(
    api: Toxiproxy, link: ProxyState, type: str, attributes: dict[str, int]
) -> None:
    added = api.add_toxic("link", type, "upstream", attributes)
    assert (added.name, dict(added.attributes)) == (f"{type}_upstream", attributes)
    assert api.proxy("link").toxics == (added,)


def test_populate(server: ServerProcess, callee: Upstream) -> None:
    empty = call(server, "POST", "/populate", "[]")
    assert (empty.status, empty.text) == (201, '{"proxies":null}')

    first = server.api.populate([ProxySpec("a", "127.0.0.1:0", callee.address)])[0]
    server.api.add_toxic("a", "noop", "upstream", {})
    again = call(
        server, "POST", "/populate", [{"name": "a", "listen": first.listen, "upstream": callee.address}]
    )
    assert again.status == 201
    assert server.api.proxy("a").toxics, "an equal proxy is left alone"

    moved = ProxySpec("a", first.listen, "127.0.0.1:9", enabled=True)
    off = ProxySpec("b", "127.0.0.1:0", callee.address, enabled=False)
    states = server.api.populate([moved, off])
    assert [(state.upstream, state.enabled) for state in states] == [
        ("127.0.0.1:9", True),
        (callee.address, False),
    ]
    assert states[0].toxics == ()


def test_populate_errors(server: ServerProcess, link: ProxyState) -> None:
    answer = call(server, "POST", "/populate", [{"name": "q"}])
    text = "missing required field: upstream at proxy 1"
    assert (answer.status, answer.content_type) == (400, "application/json")
    assert answer.json == {"error": text, "status": 400, "proxies": None}

    same = {"name": "link", "listen": link.listen, "upstream": link.upstream}
    taken = call(server, "POST", "/populate", [same, {**same, "name": "b"}])
    assert taken.status == 500
    assert [proxy["name"] for proxy in taken.json["proxies"]] == ["link"]


def test_reset_removes_toxics_and_enables(server: ServerProcess, link: ProxyState) -> None:
    server.api.add_toxic("link", "latency", "upstream", {"latency": 1})
    server.api.set_enabled("link", False)
    answer = call(server, "POST", "/reset")
    assert (answer.status, answer.text) == (204, "")
    assert call(server, "GET", "/proxies/link").json == proxy_json(link)


def test_down_refuses_and_closes_and_comes_back_at_the_same_address(
    api: Toxiproxy, link: ProxyState, callee: Upstream, pair: tuple[socket.socket, socket.socket]
) -> None:
    caller, called = pair
    assert not api.set_enabled("link", False).enabled
    assert refused(link.listen)
    assert caller.recv(1) == b""
    assert called.recv(1) == b""
    assert api.set_enabled("link", True).listen == link.listen
    again = connect(link.listen)
    callee.accept().close()
    again.close()


def test_moving_the_upstream(api: Toxiproxy, server: ServerProcess, link: ProxyState) -> None:
    with upstream() as other:
        answer = call(server, "PATCH", "/proxies/link", {"upstream": other.address})
        assert (answer.status, answer.json["listen"]) == (200, link.listen)
        caller = connect(link.listen)
        other.accept().sendall(b"new")
        assert read_exactly(caller, 3) == b"new"
        caller.close()


def test_moving_the_listener(server: ServerProcess, link: ProxyState, callee: Upstream) -> None:
    answer = call(server, "POST", "/proxies/link", {"listen": "127.0.0.1:0"})
    assert answer.status == 200
    assert answer.json["listen"] != link.listen
    assert refused(link.listen)
    connect(answer.json["listen"]).close()


def test_a_dead_upstream_is_accepted_then_closed(api: Toxiproxy, callee: Upstream) -> None:
    link = api.create("dead", "127.0.0.1:0", callee.address)
    callee.close()
    assert connect(link.listen).recv(1) == b""


def test_bytes_pass_both_ways_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    caller, called = pair
    data = bytes(range(256)) * 2048
    for sender, receiver in ((caller, called), (called, caller)):
        sender.sendall(data[:300])
        assert read_exactly(receiver, 300) == data[:300]
        for begin in range(0, len(data), 1 << 16):
            sender.sendall(data[begin : begin + (1 << 16)])
            assert read_exactly(receiver, 1 << 16) == data[begin : begin + (1 << 16)]


@pytest.mark.parametrize("closer", ["caller", "callee"])
def test_a_close_arrives_with_everything_before_it(
    pair: tuple[socket.socket, socket.socket], closer: str
) -> None:
    caller, called = pair
    first, second = (caller, called) if closer == "caller" else (called, caller)
    first.sendall(b"x" * 50_000)
    first.close()
    assert read_to_end(second) == b"x" * 50_000


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_latency_delays_one_direction(
    api: Toxiproxy, pair: tuple[socket.socket, socket.socket], stream: str
) -> None:
    caller, called = pair
    api.add_toxic("link", "latency", stream, {"latency": 300})
    sender, receiver = (caller, called) if stream == "upstream" else (called, caller)
    begun = time.monotonic()
    sender.sendall(b"slow")
    assert read_exactly(receiver, 4) == b"slow"
    assert time.monotonic() - begun >= 0.3 - TICK_S
    receiver.sendall(b"back")
    assert read_exactly(sender, 4) == b"back"


def test_latency_does_not_add_up_and_keeps_order(
    api: Toxiproxy, pair: tuple[socket.socket, socket.socket]
) -> None:
    caller, called = pair
    api.add_toxic("link", "latency", "upstream", {"latency": 400, "jitter": 100})
    begun = time.monotonic()
    for number in range(50):
        caller.sendall(b"%04d" % number)
    assert read_exactly(called, 200) == b"".join(b"%04d" % number for number in range(50))
    taken = time.monotonic() - begun
    assert 0.3 - TICK_S <= taken < 15, "50 messages of 0.4 s each would take 20 s if delays added up"


def test_latency_applies_to_new_connections_and_can_be_changed_live(
    api: Toxiproxy, link: ProxyState, callee: Upstream
) -> None:
    api.add_toxic("link", "latency", "downstream", {"latency": 60_000})
    caller = connect(link.listen)
    called = callee.accept()
    called.sendall(b"a")
    assert silent(caller, 0.2)
    api.update_toxic("link", "latency_downstream", {"latency": 0})
    assert read_exactly(caller, 1) == b"a"
    caller.close()


def test_removing_latency_delivers_what_was_under_way(
    api: Toxiproxy, pair: tuple[socket.socket, socket.socket]
) -> None:
    caller, called = pair
    api.add_toxic("link", "latency", "upstream", {"latency": 60_000})
    caller.sendall(b"held")
    assert silent(called, 0.2)
    api.remove_toxic("link", "latency_upstream")
    assert read_exactly(called, 4) == b"held"
    caller.sendall(b"free")
    assert read_exactly(called, 4) == b"free"


def test_latency_delivers_after_the_source_is_dead(
    api: Toxiproxy, pair: tuple[socket.socket, socket.socket]
) -> None:
    caller, called = pair
    api.add_toxic("link", "latency", "downstream", {"latency": 500})
    begun = time.monotonic()
    called.sendall(b"last words")
    called.close()
    assert read_to_end(caller) == b"last words"
    assert time.monotonic() - begun >= 0.5 - TICK_S


def test_bandwidth(api: Toxiproxy, pair: tuple[socket.socket, socket.socket]) -> None:
    caller, called = pair
    api.add_toxic("link", "bandwidth", "upstream", {"rate": 100})
    data = bytes(range(250)) * 200
    begun = time.monotonic()
    caller.sendall(data)
    assert read_exactly(called, len(data)) == data
    assert time.monotonic() - begun >= 0.5 - 10 * TICK_S, "50 kB at 100 kB/s"
    begun = time.monotonic()
    api.remove_toxic("link", "bandwidth_upstream")
    caller.sendall(data)
    assert read_exactly(called, len(data)) == data


def test_bandwidth_of_zero_holds_everything(
    api: Toxiproxy, pair: tuple[socket.socket, socket.socket]
) -> None:
    caller, called = pair
    api.add_toxic("link", "bandwidth", "upstream", {"rate": 0})
    caller.sendall(b"stuck")
    assert silent(called, 0.3)
    api.update_toxic("link", "bandwidth_upstream", {"rate": 1000})
    assert read_exactly(called, 5) == b"stuck"


def test_slow_close(api: Toxiproxy, pair: tuple[socket.socket, socket.socket]) -> None:
    caller, called = pair
    api.add_toxic("link", "slow_close", "upstream", {"delay": 400})
    begun = time.monotonic()
    caller.sendall(b"bye")
    caller.close()
    assert read_exactly(called, 3) == b"bye"
    assert called.recv(1) == b""
    assert time.monotonic() - begun >= 0.4 - TICK_S


def test_timeout_drops_then_closes(api: Toxiproxy, pair: tuple[socket.socket, socket.socket]) -> None:
    caller, called = pair
    begun = time.monotonic()
    api.add_toxic("link", "timeout", "downstream", {"timeout": 400})
    called.sendall(b"dropped")
    assert caller.recv(1) == b""
    assert time.monotonic() - begun >= 0.4 - TICK_S


def test_timeout_zero_is_silent_and_its_removal_closes(
    api: Toxiproxy, link: ProxyState, callee: Upstream, pair: tuple[socket.socket, socket.socket]
) -> None:
    caller, called = pair
    api.add_toxic("link", "timeout", "downstream", {"timeout": 0})
    called.sendall(b"dropped")
    assert silent(caller, 0.3)
    api.remove_toxic("link", "timeout_downstream")
    assert caller.recv(1) == b""
    fresh = connect(link.listen)
    callee.accept().sendall(b"ok")
    assert read_exactly(fresh, 2) == b"ok"
    fresh.close()


@pytest.mark.parametrize("reset", [False, True])
def test_slow_close_before_timeout_is_silent_through_the_callees_death(
    api: Toxiproxy, pair: tuple[socket.socket, socket.socket], reset: bool
) -> None:
    caller, called = pair
    for stream in ("upstream", "downstream"):
        api.add_toxic("link", "slow_close", stream, {"delay": 600_000})
        api.add_toxic("link", "timeout", stream, {"timeout": 0})
    if reset:
        called.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    called.close()
    assert silent(caller, 0.2)
    caller.sendall(b"anybody?")
    assert silent(caller, 0.2)
    api.reset()
    assert caller.recv(1) == b""


def ask(listen: str) -> bytes:
    """Connect, ask, and wait for an answer; a reset may come at any of the three."""
    with connect(listen) as caller:
        caller.sendall(b"x")
        return caller.recv(1)


def test_reset_peer_resets_a_new_connection(api: Toxiproxy, link: ProxyState, callee: Upstream) -> None:
    api.add_toxic("link", "reset_peer", "upstream", {"timeout": 0})
    with pytest.raises(ConnectionResetError):
        ask(link.listen)


def test_slicer_keeps_every_byte(api: Toxiproxy, pair: tuple[socket.socket, socket.socket]) -> None:
    caller, called = pair
    api.add_toxic("link", "slicer", "upstream", {"average_size": 100, "size_variation": 20, "delay": 10_000})
    data = bytes(range(250)) * 16
    begun = time.monotonic()
    caller.sendall(data)
    first = called.recv(1 << 16)
    assert first + read_exactly(called, len(data) - len(first)) == data
    # 4,000 bytes in slices of at most 120 are 34 slices, so at least 32 pauses of 10 ms lie between the ends.
    assert time.monotonic() - begun >= 0.32 - TICK_S
    assert len(first) < len(data)


def test_limit_data(api: Toxiproxy, pair: tuple[socket.socket, socket.socket]) -> None:
    caller, called = pair
    api.add_toxic("link", "limit_data", "downstream", {"bytes": 100})
    called.sendall(b"x" * 60)
    assert read_exactly(caller, 60) == b"x" * 60
    called.sendall(b"y" * 60)
    assert read_to_end(caller) == b"y" * 40


def test_toxics_work_one_after_the_other(api: Toxiproxy, pair: tuple[socket.socket, socket.socket]) -> None:
    caller, called = pair
    api.add_toxic("link", "latency", "downstream", {"latency": 200})
    api.add_toxic("link", "latency", "downstream", {"latency": 200}, name="more")
    api.add_toxic("link", "limit_data", "downstream", {"bytes": 3})
    begun = time.monotonic()
    called.sendall(b"12345")
    assert read_to_end(caller) == b"123"
    assert time.monotonic() - begun >= 0.4 - TICK_S


def test_toxicity_zero_applies_to_nobody(api: Toxiproxy, pair: tuple[socket.socket, socket.socket]) -> None:
    caller, called = pair
    api.add_toxic("link", "timeout", "downstream", {"timeout": 0}, toxicity=0.0)
    called.sendall(b"through")
    assert read_exactly(caller, 7) == b"through"


def test_metrics_count_bytes_per_proxy_and_direction(
    server: ServerProcess, link: ProxyState, callee: Upstream, pair: tuple[socket.socket, socket.socket]
) -> None:
    caller, called = pair
    before = server.api.traffic().get("link")
    caller.sendall(b"x" * 300)
    read_exactly(called, 300)
    called.sendall(b"y" * 700)
    read_exactly(caller, 700)
    caller.close()
    assert called.recv(1) == b""
    called.close()
    end = time.monotonic() + 10
    up, down = (before.upstream_bytes, before.downstream_bytes) if before else (0, 0)
    # The real server counts when both directions have ended, a moment after the sockets have.
    while True:
        counted = server.api.traffic().get("link")
        if counted and (counted.upstream_bytes, counted.downstream_bytes) == (up + 300, down + 700):
            break
        assert time.monotonic() < end, counted
    text = call(server, "GET", "/metrics").text
    for metric in ("received", "sent"):
        assert f"# TYPE toxiproxy_proxy_{metric}_bytes_total counter" in text
    labels = f'{{direction="upstream",listener="{link.listen}",proxy="link",upstream="{callee.address}"}}'
    assert f"toxiproxy_proxy_received_bytes_total{labels} 300" in text


def test_the_adapter_names_what_went_wrong(api: Toxiproxy, link: ProxyState) -> None:
    with pytest.raises(AlreadyExists):
        api.create("link", "127.0.0.1:0", link.upstream)
    with pytest.raises(NotFound, match="look at the names"):
        api.proxy("none")
    with pytest.raises(RequestRefused) as refusal:
        api.create("b", link.listen, link.upstream)
    assert refusal.value.status == 500
    api.remove_toxic("link", "none")
    api.remove_toxic("none", "none")
    api.delete("none")


def test_names_are_quoted(api: Toxiproxy, callee: Upstream) -> None:
    name = "payments → ledger?x=1#y%20"
    api.create(name, "127.0.0.1:0", callee.address)
    api.add_toxic(name, "latency", "upstream", {"latency": 1}, name="a b")
    api.update_toxic(name, "a b", {"jitter": 1})
    api.remove_toxic(name, "a b")
    api.set_enabled(name, False)
    api.delete(name)
    assert name not in api.proxies()


USERS_SCRIPT = """
import sys, toxiproxy
server = toxiproxy.Toxiproxy()
server.update_api_consumer(sys.argv[1], int(sys.argv[2]))
assert server.running() and b"2.12.0" in server.version()
proxy = server.create(upstream=sys.argv[3], name="users")
server.populate([{"name": "second", "upstream": sys.argv[3], "listen": "127.0.0.1:0"}])
proxy.add_toxic(type="latency", attributes={"latency": 10, "jitter": 1})
proxy.add_toxic(type="bandwidth", stream="upstream", attributes={"rate": 100}, toxicity=0.5, name="slow")
print(sorted(proxy.toxics()), proxy.get_toxic("slow").toxicity)
proxy.destroy_toxic("slow")
with proxy.down():
    print(server.get_proxy("users").enabled)
print(server.get_proxy("users").enabled, sorted(server.proxies()))
try:
    server.create(upstream=sys.argv[3], name="users")
except toxiproxy.server.ProxyExists:
    print("exists")
try:
    proxy.add_toxic(type="nonsense")
except toxiproxy.api.InvalidToxic as error:
    print("invalid")
print(server.reset(), proxy.toxics())
server.destroy_all()
print(server.proxies())
"""


def test_a_users_ordinary_script_runs(server: ServerProcess, callee: Upstream) -> None:
    command = [sys.executable, "-c", USERS_SCRIPT, server.host, str(server.port), callee.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "['latency_downstream', 'slow'] 0.5",
        "False",
        "True ['second', 'users']",
        "exists",
        "invalid",
        "True {}",
        "{}",
    ]
