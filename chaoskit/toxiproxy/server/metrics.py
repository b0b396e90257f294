"""Bytes per proxy and direction, in the words of the real server's Prometheus metrics."""

from __future__ import annotations

from dataclasses import dataclass

#: Direction, proxy, listener and upstream, in the order of the real server's labels.
Labels = tuple[str, str, str, str]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"


@dataclass(slots=True)
class Traffic:
    """Bytes read from the source and bytes handed to the sink, one direction; counted as they pass."""

    received_bytes: int = 0
    sent_bytes: int = 0


class Metrics:
    """The counters of one server; they outlive the proxies, as counters do."""

    def __init__(self) -> None:
        self._traffic: dict[Labels, Traffic] = {}

    def traffic(self, labels: Labels) -> Traffic:
        """The counter of these labels, made on first use."""
        return self._traffic.setdefault(labels, Traffic())

    def text(self) -> str:
        """Prometheus text format 0.0.4."""
        lines: list[str] = []
        for metric in ("received_bytes", "sent_bytes"):
            name = f"toxiproxy_proxy_{metric}_total"
            lines += [f"# HELP {name} ", f"# TYPE {name} counter"]
            for labels, traffic in sorted(self._traffic.items()):
                lines.append(f"{name}{{{_labels(labels)}}} {getattr(traffic, metric)}")
        return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    direction, proxy, listener, upstream = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for value in labels
    )
    return f'direction="{direction}",listener="{listener}",proxy="{proxy}",upstream="{upstream}"'
