"""A caller that asks the name server itself goes past its link: the run stops before the fault, and names the link."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chaoskit import pipeline
from chaoskit.spec import load

pytestmark = pytest.mark.docker
SMALL = Path(__file__).parent / "small"
#: What nginx `resolver` and HAProxy `resolvers` do: one question to the engine's name server, /etc/hosts unseen.
DNS = r"""
sub dns {
    my ($name) = @_;
    my $server = IO::Socket::INET->new(PeerAddr => "127.0.0.11", PeerPort => 53, Proto => "udp") or return $name;
    my $labels = join "", map { pack "C/a", $_ } split /\./, $name;
    print $server pack("n6", 7, 0x100, 1, 0, 0, 0), $labels, "\0", pack("nn", 1, 1);
    $server->recv(my $answer, 512);
    return join ".", unpack "C4", substr($answer, -4);
}
"""


def test_a_caller_that_asks_dns_itself_stops_the_run_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "small"
    shutil.copytree(SMALL, folder)
    server = folder / "serve.pl"
    text = server.read_text(encoding="utf-8")
    assert "PeerAddr => $host, PeerPort" in text
    server.write_text(
        text.replace("PeerAddr => $host, PeerPort", "PeerAddr => dns($host), PeerPort") + DNS,
        encoding="utf-8",
    )
    run = pipeline.run(load(folder / "drill.yaml"), runtime_name="docker", reports=tmp_path / "reports")
    kinds = [event.kind for event in run.history.events]
    assert "fault.begin" not in kinds
    (end,) = [event.data for event in run.history.events if event.kind == "run.end"]
    assert end["ended"] == "broken"
    assert "front -> back" in end["reason"]
    assert "directly" in end["reason"]
    assert "resolver" in end["reason"]
    assert run.result.outcome == "unknown"
    assert run.result.exit_code == 3
    (traffic,) = [event.data for event in run.history.events if event.kind == "link.traffic"]
    assert list(traffic["direct"]) == ["front -> back"]
    assert traffic["links"]["front -> back"] == [0, 0]
    assert min(traffic["links"]["customers -> front"]) > 0
