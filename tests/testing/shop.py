"""A system of one web service, small enough to be started for a handful of tests, in a folder of its own."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

WEB = Path(__file__).parents[1] / "runtimes" / "local" / "tiny_web.py"
SYSTEM = """\
system: shop
compose: compose.yaml
links: [customers -> web]
speaks: {tool: http}
population: {pools: {item: {count: 9, format: "I-{n}"}}}
journeys:
  visit: {get: "web/{item}", draw: {item: item}, good: {status: 200, within: 300ms}}
  buy: {post: web/, json: {id: "{key}", price: "{price}"}, draw: {price: {between: ["1.00 CNY", "9.00 CNY"]}},
        good: {status: 200, within: 300ms}}
local:
  web: {run: "%(web)s", ready: /, environment: {GREETING: welcome}}
  tool: {run: "%(tool)s", ready: /}
"""
COMPOSE = """\
services:
  web: {image: web, command: web, expose: ["8080"]}
  tool: {image: web, command: web, expose: ["8080"]}
"""


def write(folder: Path) -> Path:
    """Write its files; returns the system file."""
    server = shutil.copy(WEB, folder)
    run = f"python -S {shlex.quote(str(server))} {{address}} 8080"
    (folder / "system.yaml").write_text(SYSTEM % {"web": run, "tool": run})
    (folder / "compose.yaml").write_text(COMPOSE)
    return folder / "system.yaml"
