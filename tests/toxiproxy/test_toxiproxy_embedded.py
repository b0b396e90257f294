"""Where the embedded server is better than the real one on purpose: each test is a defect a drill must not inherit."""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chaoskit.toxiproxy.client import Toxiproxy
from chaoskit.toxiproxy.errors import RequestRefused
from chaoskit.toxiproxy.process import ServerProcess
from tests.toxiproxy.peers import (
    PATIENCE_S,
    Upstream,
    call,
    connect,
    read_exactly,
    read_to_end,
    refused,
    send_in_background,
    upstream,
)

#: What "never waits for a connection" means; an answer takes about two milliseconds.
PROMPT_S = 5.0


@pytest.fixture(scope="module")
def process() -> Iterator[ServerProcess]:
    with ServerProcess.embedded(seed=7) as server:
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


def sends_until_stuck(peer: socket.socket) -> int:
    """Bytes that fit between a sender and a reader who does not read."""
    peer.setblocking(False)
    sent = 0
    while select.select([], [peer], [], 0.5)[1]:
        sent += peer.send(bytes(1 << 16))
    peer.settimeout(PATIENCE_S)
    return sent


@pytest.mark.parametrize("closer", ["caller", "callee"])
def test_half_close(api: Toxiproxy, callee: Upstream, closer: str) -> None:
    link = api.create("a", "127.0.0.1:0", callee.address)
    with connect(link.listen) as caller, callee.accept() as called:
        first, second = (caller, called) if closer == "caller" else (called, caller)
        first.sendall(b"question")
        first.shutdown(socket.SHUT_WR)
        assert read_to_end(second) == b"question"
        second.sendall(b"a long answer")
        second.close()
        assert read_to_end(first) == b"a long answer"


@pytest.mark.parametrize("toxic", [("latency", {"latency": 100}), ("bandwidth", {"rate": 1}), None])
def test_an_unread_connection_delays_no_api_call(
    api: Toxiproxy, callee: Upstream, toxic: tuple[str, dict[str, int]] | None
) -> None:
    link = api.create("a", "127.0.0.1:0", callee.address)
    if toxic is not None:
        api.add_toxic("a", toxic[0], "downstream", toxic[1], name="first")
    with connect(link.listen) as caller, callee.accept() as called:
        sends_until_stuck(called)
        begun = time.monotonic()
        api.add_toxic("a", "latency", "downstream", {"latency": 50}, name="second")
        api.update_toxic("a", "second", {"latency": 60})
        api.remove_toxic("a", "second")
        api.proxies()
        api.reset()
        api.set_enabled("a", False)
        api.delete("a")
        assert time.monotonic() - begun < PROMPT_S
        caller.setblocking(True)


@pytest.mark.parametrize("type", [None, "latency", "slicer", "bandwidth"])
def test_buffers_are_bounded_in_bytes(api: Toxiproxy, callee: Upstream, type: str | None) -> None:
    attributes = {
        "latency": {"latency": 60_000},
        "slicer": {"average_size": 1000, "delay": 1_000_000},
        "bandwidth": {"rate": 1},
    }
    link = api.create("a", "127.0.0.1:0", callee.address)
    if type is not None:
        api.add_toxic("a", type, "downstream", attributes[type])
    with connect(link.listen), callee.accept() as called:
        # Kernel buffers on both sides of the proxy hold some megabytes besides ours.
        assert sends_until_stuck(called) < 40_000_000


def black_hole(stack: ExitStack) -> str:
    """The address of a listener whose backlog is full: the kernel drops further SYNs."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    host, port = listener.getsockname()
    for _ in range(4):
        peer = stack.enter_context(socket.socket())
        peer.setblocking(False)
        peer.connect_ex((host, port))
        select.select([], [peer], [], 0.1)
    return f"{host}:{port}"


def test_a_black_holed_upstream_stops_neither_accepting_nor_deleting(api: Toxiproxy) -> None:
    with ExitStack() as stack:
        link = api.create("a", "127.0.0.1:0", black_hole(stack))
        callers = [stack.enter_context(connect(link.listen)) for _ in range(3)]
        callers[0].sendall(b"early")
        begun = time.monotonic()
        api.add_toxic("a", "latency", "downstream", {"latency": 1})
        api.set_enabled("a", False)
        assert [caller.recv(1) for caller in callers] == [b"", b"", b""]
        api.delete("a")
        assert time.monotonic() - begun < PROMPT_S


def test_what_comes_before_the_upstream_is_connected_is_kept(api: Toxiproxy, callee: Upstream) -> None:
    link = api.create("a", "127.0.0.1:0", callee.address)
    data = bytes(range(256)) * 4096
    with connect(link.listen) as caller:
        sending = send_in_background(caller, data)
        with callee.accept() as called:
            assert read_exactly(called, len(data)) == data
            sending.join()
            caller.shutdown(socket.SHUT_WR)
            assert called.recv(1) == b""


@pytest.mark.parametrize(
    ("type", "attributes", "word"),
    [
        ("bandwidth", {"rate": -1}, "rate"),
        ("slicer", {}, "average_size"),
        ("slicer", {"average_size": 10, "size_variation": 10}, "size_variation"),
        ("latency", {"latency": 1, "jitter": 2**62 + 1}, "jitter"),
        ("latency", {"latency": -1}, "latency"),
        ("timeout", {"timeout": 2**40}, "timeout"),
    ],
)
def test_what_kills_the_real_server_is_refused(
    server: ServerProcess, callee: Upstream, type: str, attributes: dict[str, int], word: str
) -> None:
    server.api.create("a", "127.0.0.1:0", callee.address)
    answer = call(server, "POST", "/proxies/a/toxics", {"type": type, "attributes": attributes})
    assert answer.status == 400
    assert word in answer.json["error"]
    assert server.api.proxy("a").toxics == ()


def test_a_refused_update_changes_nothing(server: ServerProcess, callee: Upstream) -> None:
    server.api.create("a", "127.0.0.1:0", callee.address)
    before = server.api.add_toxic("a", "latency", "upstream", {"latency": 5})
    body = {"toxicity": 2, "attributes": {"latency": 9}}
    assert call(server, "PATCH", "/proxies/a/toxics/latency_upstream", body).status == 400
    assert server.api.proxy("a").toxics == (before,)
    assert (
        call(server, "POST", "/proxies", {"name": "b", "listen": "nowhere", "upstream": "x:1"}).status == 400
    )
    assert call(server, "POST", "/proxies", {"name": "b", "upstream": "nowhere"}).status == 400


def test_a_move_that_fails_leaves_the_proxy_running(server: ServerProcess, callee: Upstream) -> None:
    link = server.api.create("a", "127.0.0.1:0", callee.address)
    with connect(link.listen) as caller, callee.accept() as called:
        answer = call(server, "PATCH", "/proxies/a", {"listen": callee.address, "upstream": "127.0.0.1:9"})
        assert answer.status == 500
        assert server.api.proxy("a") == link
        caller.sendall(b"alive")
        assert read_exactly(called, 5) == b"alive"


def test_reset_goes_on_past_a_proxy_that_cannot_start(api: Toxiproxy, callee: Upstream) -> None:
    for name in ("a", "b", "c"):
        api.create(name, "127.0.0.1:0", callee.address)
        api.add_toxic(name, "latency", "upstream", {"latency": 1})
    taken = api.set_enabled("b", False)
    api.set_enabled("c", False)
    with socket.create_server((taken.host, taken.port)):
        with pytest.raises(RequestRefused, match="address already in use"):
            api.reset()
        after = api.proxies()
    assert {name: state.enabled for name, state in after.items()} == {"a": True, "b": False, "c": True}
    assert all(state.toxics == () for state in after.values())


def test_reset_peer_resets_idle_and_open_connections_on_both_sides(api: Toxiproxy, callee: Upstream) -> None:
    link = api.create("a", "127.0.0.1:0", callee.address)
    with connect(link.listen) as caller, callee.accept() as called:
        begun = time.monotonic()
        api.add_toxic("a", "reset_peer", "downstream", {"timeout": 200})
        with pytest.raises(ConnectionResetError):
            caller.recv(1)
        assert time.monotonic() - begun >= 0.19
        with pytest.raises(ConnectionResetError):
            called.recv(1)


def pattern(api: Toxiproxy, callee: Upstream, name: str, count: int) -> str:
    """Which of `count` connections, in order, a toxic of toxicity 0.5 applies to."""
    link = api.create(name, "127.0.0.1:0", callee.address)
    api.add_toxic(name, "limit_data", "downstream", {"bytes": 1}, toxicity=0.5)
    applied = ""
    for _ in range(count):
        with connect(link.listen) as caller, callee.accept() as called:
            called.sendall(b"12")
            called.shutdown(socket.SHUT_WR)
            applied += "x" if len(read_to_end(caller)) == 1 else "."
    api.delete(name)
    return applied


def test_toxicity_is_rolled_once_per_connection_from_the_seed(callee: Upstream) -> None:
    with ServerProcess.embedded(seed=3) as one, ServerProcess.embedded(seed=3) as two:
        first = pattern(one.api, callee, "a", 24)
        assert first == pattern(two.api, callee, "a", 24)
        assert {"x", "."} == set(first)
    with ServerProcess.embedded(seed=4) as other:
        assert first != pattern(other.api, callee, "a", 24)


def test_an_update_does_not_roll_again(api: Toxiproxy, callee: Upstream) -> None:
    link = api.create("a", "127.0.0.1:0", callee.address)
    with ExitStack() as stack:
        pairs = []
        for _ in range(12):
            pairs.append((stack.enter_context(connect(link.listen)), stack.enter_context(callee.accept())))
        api.add_toxic("a", "timeout", "downstream", {"timeout": 0}, toxicity=0.5)

        def through() -> list[bool]:
            for _, called in pairs:
                called.sendall(b"x")
            found = []
            for caller, _ in pairs:
                found.append(bool(select.select([caller], [], [], 0.1)[0]))
                if found[-1]:
                    caller.recv(16)
            return found

        first = through()
        assert {True, False} == set(first)
        for _ in range(5):
            api.update_toxic("a", "timeout_downstream", {"timeout": 0})
        assert through() == first


def test_no_listen_address_is_loopback(server: ServerProcess, callee: Upstream) -> None:
    made = call(server, "POST", "/proxies", {"name": "a", "upstream": callee.address})
    assert made.json["listen"].startswith("127.0.0.1:")
    port = made.json["listen"].rpartition(":")[2]
    server.api.delete("a")
    made = call(server, "POST", "/proxies", {"name": "a", "listen": f":{port}", "upstream": callee.address})
    assert made.json["listen"] == f"127.0.0.1:{port}"


def test_bytes_are_counted_as_they_pass(api: Toxiproxy, callee: Upstream) -> None:
    link = api.create("counted", "127.0.0.1:0", callee.address)
    with connect(link.listen) as caller, callee.accept() as called:
        caller.sendall(b"x" * 10)
        read_exactly(called, 10)
        assert api.traffic()["counted"].upstream_bytes == 10


def test_many_connections_come_and_go(api: Toxiproxy, callee: Upstream) -> None:
    link = api.create("a", "127.0.0.1:0", callee.address)
    api.add_toxic("a", "latency", "downstream", {"latency": 5, "jitter": 2})
    for _ in range(5):
        with ExitStack() as stack:
            pairs = []
            for _ in range(20):
                pairs.append(
                    (stack.enter_context(connect(link.listen)), stack.enter_context(callee.accept()))
                )
            for _, called in pairs:
                called.sendall(b"ok")
            assert [read_exactly(caller, 2) for caller, _ in pairs] == [b"ok"] * 20
        api.set_enabled("a", False)
        assert refused(link.listen)
        api.set_enabled("a", True)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chaoskit.toxiproxy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_taken_port_is_an_error_with_a_fix(server: ServerProcess) -> None:
    done = run("--port", str(server.port))
    assert (done.returncode, done.stdout) == (2, "")
    assert "address already in use" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("text", [None, "{", "{}", '[{"name":"a"}]'])
def test_a_bad_configuration_is_an_error_that_names_it(tmp_path: Path, text: str | None) -> None:
    config = tmp_path / "proxies.json"
    if text is not None:
        config.write_text(text)
    done = run("--port", "0", "--config", str(config))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_cleanly(tmp_path: Path, callee: Upstream, number: signal.Signals) -> None:
    config = tmp_path / "proxies.json"
    config.write_text(json.dumps([{"name": "a", "listen": "127.0.0.1:0", "upstream": callee.address}]))
    command = [sys.executable, "-m", "chaoskit.toxiproxy", "--port", "0", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert "listening on 127.0.0.1:" in line
        assert "seed" in line
        api = Toxiproxy("127.0.0.1", int(line.split("127.0.0.1:")[1].split(",")[0]))
        with connect(api.proxy("a").listen) as caller, callee.accept():
            child.send_signal(number)
            rest, errors = child.communicate(timeout=PATIENCE_S)
            assert caller.recv(1) == b""
    assert (child.returncode, rest, errors) == (0, "", "")
