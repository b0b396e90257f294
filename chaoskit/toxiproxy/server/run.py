"""Start the embedded server and stop it cleanly: the command line, and `serve` for other programs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from chaoskit.processor import still_garbage
from chaoskit.toxiproxy.errors import ServerStartError
from chaoskit.toxiproxy.server import PROTOCOL_VERSION
from chaoskit.toxiproxy.server.address import Address, bind, bound_address, resolve_listen
from chaoskit.toxiproxy.server.api import application
from chaoskit.toxiproxy.server.collection import ProxyCollection
from chaoskit.toxiproxy.server.proxy import World
from chaoskit.toxiproxy.server.pulse import Pulse
from chaoskit.toxiproxy.server.wire import ApiError


class _HttpServer(uvicorn.Server):
    """Signals are ours: uvicorn would raise them again after a clean stop and end the process with a signal."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    host: str, port: int, seed: int, config: list[Any] | None = None, pulse: Path | None = None
) -> None:
    """Serve until SIGTERM or SIGINT; prints one line when the API listens.

    `port` 0 takes a free one; `config` is a list of proxies, as for `/populate`; `pulse` is a file that is told when
    this process was held up. Raises `ServerStartError`.
    """
    beating = _pulse(pulse)
    collection = ProxyCollection(World(seed))
    try:
        listener = bind(await resolve_listen(str(Address(host, port))))
    except ApiError as error:
        raise ServerStartError(
            f"cannot serve the Toxiproxy API on {host}:{port}: {error.message}. "
            "Stop what listens there, or choose another port with --port"
        ) from None
    if config is not None:
        _, problem = await collection.populate(config)
        if problem is not None:
            raise ServerStartError(f"cannot create the proxies of the configuration: {problem.message}")
    http = _HttpServer(
        uvicorn.Config(
            application(collection),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, http, "should_exit", True)
    # Connections that wait in the backlog are served as soon as uvicorn accepts: the line may be printed first.
    address = bound_address(listener)
    print(f"toxiproxy {PROTOCOL_VERSION} (embedded) listening on {address}, seed {seed}", flush=True)
    if beating is not None:
        still_garbage()
        beating.start()
    try:
        await http.serve(sockets=[listener])
    finally:
        collection.stop()
        if beating is not None:
            beating.stop()


def _pulse(path: Path | None) -> Pulse | None:
    try:
        return None if path is None else Pulse(path)
    except OSError as error:
        raise ServerStartError(f"cannot write {path}: {error.strerror}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m chaoskit.toxiproxy`; 0 after a clean stop, 2 when it could not start."""
    parser = argparse.ArgumentParser(
        prog="python -m chaoskit.toxiproxy",
        description="A TCP proxy for chaos tests, wire compatible with Toxiproxy " + PROTOCOL_VERSION,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address of the API (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8474, help="port of the API, 0 for a free one (%(default)s)"
    )
    parser.add_argument("--config", type=Path, help="JSON file with a list of proxies to create at start")
    parser.add_argument("--seed", type=int, help="seed of all chance (default: a new one, which is printed)")
    parser.add_argument(
        "--pulse", type=Path, help="file to append to when this process was stopped or starved (JSON lines)"
    )
    options = parser.parse_args(argv)
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
    try:
        config = None if options.config is None else read_config(options.config)
        uvloop.run(serve(options.host, options.port, seed, config, options.pulse))
    except ServerStartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def read_config(path: Path) -> list[Any]:
    """The list of proxies of a configuration file. Raises `ServerStartError` that names the file and the place."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ServerStartError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise ServerStartError(f"{path} is not JSON: {error}") from None
    if not isinstance(config, list):
        raise ServerStartError(f"{path} must hold a JSON list of proxies, as for /populate")
    return config
