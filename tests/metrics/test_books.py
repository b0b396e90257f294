"""Books that are measured beside the rest: what goes wrong on either side ends both."""

from __future__ import annotations

import pytest

from chaoskit.evidence import load_history
from chaoskit.metrics import books
from chaoskit.metrics.books import measured_beside
from chaoskit.metrics.timeline import read_timeline
from chaoskit.model.history import History
from tests.histories.builder import RunBuilder


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return load_history(RunBuilder().crash().write(tmp_path_factory.mktemp("books") / "run"))


@pytest.mark.timeout(30)
def test_they_are_not_waited_for_when_the_rest_cannot_be_measured(history: History) -> None:
    with pytest.raises(ZeroDivisionError), measured_beside(history, read_timeline(history)):
        raise ZeroDivisionError  # and nobody ever tells when the clocks started


def test_what_went_wrong_there_is_said_here(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(books, "measure_books", broken)
    with measured_beside(history, read_timeline(history)) as beside:
        beside.tell(None)
        with pytest.raises(OSError, match="no space left"):
            beside.found()
