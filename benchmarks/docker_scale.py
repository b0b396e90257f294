"""Starts 30 small services with health checks and 60 links on Docker, ends them, and prints where the time went.

The system is made for the purpose: five layers of Perl one-file servers in debian:bookworm-slim, each behind two or
three of the layer below and waiting for them to be healthy. Targets: up in under 20 s, gone in under 5 s, on 2 cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from chaoskit import pipeline, registry
from chaoskit.model.plan import Plan
from chaoskit.runtimes.docker.runtime import DockerRuntime
from chaoskit.spec import load

LAYERS, IN_A_LAYER = 5, 6
LINKS = 60
UP_MAX_S, GONE_MAX_S = 20.0, 5.0
SERVER = r"""
use strict; use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 64, ReuseAddr => 1) or die "cannot listen: $!";
while (my $client = $server->accept) {
    while (my $line = <$client>) { last if $line eq "\r\n" }
    print $client "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    close $client;
}
"""
LOOK = 'exit !IO::Socket::INET->new("127.0.0.1:8080")'


@dataclass(frozen=True)
class Sample:
    """One life of the estate, in seconds."""

    up_s: float
    gone_s: float
    laps_s: Mapping[str, float]


def write_system(folder: Path) -> Path:
    """Compose file, system.yaml and a drill; returns the drill's path."""
    (folder / "serve.pl").write_text(SERVER)
    names = [[f"layer{layer}-{n}" for n in range(IN_A_LAYER)] for layer in range(LAYERS)]
    links: list[str] = [f"customers -> {names[-1][0]}"]
    services: dict[str, Any] = {}
    for layer, several in enumerate(names):
        for n, name in enumerate(several):
            below = [names[layer - 1][(n + step) % IN_A_LAYER] for step in range(3)] if layer else []
            services[name] = {
                "image": "debian:bookworm-slim",
                "command": ["perl", "/serve.pl"],
                "volumes": ["./serve.pl:/serve.pl:ro"],
                "expose": ["8080"],
                "stop_grace_period": "1s",
                "healthcheck": {"test": ["CMD", "perl", "-MIO::Socket::INET", "-e", LOOK], "interval": "1s"},
                "depends_on": {other: {"condition": "service_healthy"} for other in below[:2]},
            }
            links += [f"{name} -> {other}" for other in below]
    links = links[:LINKS]
    system = {
        "system": "scale",
        "compose": "compose.yaml",
        "links": links,
        "journeys": {"look": {"get": f"{names[-1][0]}/", "good": {"status": 200, "within": "1s"}}},
    }
    drill = {
        "drill": "scale",
        "title": "Thirty services",
        "system": "system.yaml",
        "load": {"look": "10/s"},
        "timeline": [{"at": "0s", "fault": "process.kill", "on": names[0][0]}],
        "objectives": {"look": {"rto": "1m"}},
    }
    # JSON is YAML.
    for name, content in (
        ("compose.yaml", {"services": services}),
        ("system.yaml", system),
        ("drill.yaml", drill),
    ):
        (folder / name).write_text(json.dumps(content, indent=1))
    return folder / "drill.yaml"


async def live_once(plan: Plan, folder: Path) -> Sample:
    """Provision and close; whatever is left is an error."""
    begun = time.monotonic()
    estate = await DockerRuntime().provision(plan, folder.name, folder)
    up = time.monotonic()
    await estate.close()
    return Sample(up - begun, time.monotonic() - up, estate.laps.seconds)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 1 when a median misses its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="docker-scale-") as temporary:
        plan = pipeline.make_plan(load(write_system(Path(temporary)), registry), "docker")
        samples = []
        for number in range(arguments.runs):
            folder = Path(temporary) / f"scale-{number}"
            folder.mkdir()
            samples.append(asyncio.run(live_once(plan, folder)))
            print(
                f"run {number + 1}: up in {samples[-1].up_s:.1f} s, gone in {samples[-1].gone_s:.1f} s",
                flush=True,
            )
    up = statistics.median(one.up_s for one in samples)
    gone = statistics.median(one.gone_s for one in samples)
    services, links = len(plan.system.services), len(plan.system.links)
    print(f"{services} services, {links} links, median of {len(samples)}:")
    stages = [
        (f"  {stage}", statistics.median(one.laps_s[stage] for one in samples), None)
        for stage in samples[0].laps_s
    ]
    rows = [("up", up, UP_MAX_S), *stages, ("gone", gone, GONE_MAX_S)]
    print(tabulate(rows, headers=("", "seconds", "target"), floatfmt=".1f"))
    return 0 if up < UP_MAX_S and gone < GONE_MAX_S else 1


if __name__ == "__main__":
    sys.exit(main())
