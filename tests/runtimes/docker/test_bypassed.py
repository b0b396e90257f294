"""A caller that asks the name server itself goes past its link: the run is unknown, and names the link."""

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


LINKED = "IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Timeout => 1)"
DIRECT = LINKED.replace("$host", "dns($host)")


def shop(folder: Path, connect: str) -> Path:
    """The small system, its caller connecting as said; returns the drill."""
    shutil.copytree(SMALL, folder)
    server = folder / "serve.pl"
    text = server.read_text(encoding="utf-8")
    assert text.count(LINKED) == 1
    server.write_text(text.replace(LINKED, connect) + DNS, encoding="utf-8")
    return folder / "drill.yaml"


def test_a_caller_that_asks_dns_itself_stops_the_run_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    run = pipeline.run(
        load(shop(tmp_path / "small", DIRECT)), runtime_name="docker", reports=tmp_path / "reports"
    )
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


def test_a_caller_that_looks_for_another_way_only_when_its_link_is_cut_is_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    drill = shop(tmp_path / "small", f"({LINKED} || {DIRECT})")
    text = drill.read_text(encoding="utf-8")
    before, _, rest = text.partition("timeline:")
    cut = 'timeline:\n  - {at: 0s, fault: link.cut, on: "front -> back", for: 1s}\n'
    drill.write_text(f"{before}{cut}objectives:{rest.partition('objectives:')[2]}", encoding="utf-8")
    run = pipeline.run(load(drill), runtime_name="docker", reports=tmp_path / "reports")
    (gone_past,) = [event.data for event in run.history.events if event.kind == "link.bypassed"]
    assert list(gone_past["direct"]) == ["front -> back"]
    assert (run.result.outcome, run.result.exit_code) == ("unknown", 3)
    assert "bypassed" in run.result.reason
    assert "front -> back" in run.result.reason
