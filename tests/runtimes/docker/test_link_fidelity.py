"""What a service can notice of the links is told, and only where there is one."""

from __future__ import annotations

from chaoskit.runtimes.docker.link_fidelity import seen_by
from tests.runtimes.docker.links_bench import system

SYSTEM = system(("customers -> web", "web -> db", "jobs -> db"))


def test_a_callee_sees_the_proxy() -> None:
    assert seen_by(SYSTEM, "db") == "sees the proxy's address in place of those of jobs, web"
    assert seen_by(SYSTEM, "jobs") == ""
