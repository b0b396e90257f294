"""`explain`: where a number of a scorecard comes from."""

from __future__ import annotations

from pathlib import Path

from chaoskit import evidence, metrics
from chaoskit.cli import ending
from chaoskit.cli.judging import load_result, not_vouched_for
from chaoskit.evidence.manifest import vouched_head
from chaoskit.judge import explanation
from chaoskit.judge.paper import Paper
from chaoskit.model.plain_text import one_line


def explain_run(folder: Path, name: str | None) -> int:
    """Print one explanation, or what can be asked for; the history is measured anew for it."""
    read: dict[str, str] = {}
    history = evidence.load_history(folder, read)
    paper = Paper(history, metrics.measure(history), load_result(folder))
    ending.keep(paper)
    text = "\n".join(explanation.names(paper)) if name is None else explanation.explain(paper, name)
    for line in text.splitlines():
        print(" " * (len(line) - len(line.lstrip())) + one_line(line.lstrip()))
    if vouched_head(folder, read) is None:
        print(not_vouched_for(folder))
    return 0
