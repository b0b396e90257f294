"""Decisions: asked for with their time measured, refused, missed; who decides when a role is absent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chaoskit.model.drill import Decision
from chaoskit.model.people import Answer, Decider, NobodyAsked, Question, Substitute, decider_of
from tests.conductor.staging import Played, down, fault, plan_of, play, response, seconds

ASKED = Decision(role="duty-manager", asked=True, within=seconds(5))
MODELLED = Decision(role="duty-manager", takes=seconds(3))


class Person:
    """Answers after a while, of the virtual clock."""

    def __init__(self, after_s: float, answer: Answer | Exception) -> None:
        self.after_s = after_s
        self.answer = answer
        self.questions: list[Question] = []
        self.left_alone = False

    async def ask(self, question: Question) -> Answer:
        self.questions.append(question)
        try:
            await asyncio.sleep(self.after_s)
        except asyncio.CancelledError:
            self.left_alone = True
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def drilled(folder: Path, decision: Decision, asker: Person | None = None, **more: object) -> Played:
    decider = more.pop("decider", Decider(role="duty-manager", reached=seconds(0)))
    steps = (fault(), response(when=down(), decision=decision, decider=decider))
    return play(folder, plan_of(*steps, **more), asker=asker)


def test_an_answer_is_waited_for_and_its_time_measured(tmp_path: Path) -> None:
    person = Person(2.5, Answer(True, "Kim"))
    played = drilled(tmp_path, ASKED, person)
    assert person.questions == [Question("promote", "fake.promote on db-standby", "duty-manager", "5s")]
    end = played.one("decision.end")
    assert end["who"] == "Kim"
    assert end["slept_ns"] == end["takes_ns"] == pytest.approx(2.5e9, abs=1e7)
    assert played.at("response.begin") - played.at("decision.begin") == pytest.approx(2.5e9, abs=1e7)
    assert played.one("run.end")["ended"] == "complete"


def test_refused_the_response_does_not_happen(tmp_path: Path) -> None:
    played = drilled(tmp_path, ASKED, Person(1, Answer(False, "Kim")))
    assert (played.one("decision.refused")["who"], played.of("response.begin")) == ("Kim", [])
    assert "not recovered" in played.one("run.end")["reason"]


def test_without_an_answer_in_time_the_response_does_not_happen(tmp_path: Path) -> None:
    person = Person(60, Answer(True, "too late"))
    played = drilled(tmp_path, ASKED, person)
    missed = played.one("decision.missed")
    assert missed["reason"] == "the duty-manager was asked and did not answer within 5s"
    assert played.at("decision.missed") - played.at("decision.begin") == pytest.approx(5e9, abs=1e7)
    assert (played.of("response.begin"), person.left_alone) == ([], True)


@pytest.mark.parametrize(
    ("asker", "why"),
    [
        (None, "this run has no terminal"),
        (Person(1, NobodyAsked("the terminal was closed")), "the terminal was closed"),
    ],
)
def test_nobody_to_ask_is_no_permission(tmp_path: Path, asker: Person | None, why: str) -> None:
    played = drilled(tmp_path, ASKED, asker)
    assert played.one("decision.missed")["reason"] == f"the duty-manager could not be asked: {why}"
    assert played.of("response.begin") == []


def test_with_everybody_absent_nothing_is_decided_and_what_follows_is_skipped(tmp_path: Path) -> None:
    nobody = Decider(role=None, reached=seconds(0), absent=("duty-manager", "deputy"))
    steps = (
        fault(),
        response(when=down(), decision=MODELLED, decider=nobody),
        response("tidy", after=seconds(1), after_step="promote"),
    )
    played = play(tmp_path, plan_of(*steps))
    assert "duty-manager and deputy could not be reached" in played.one("decision.missed")["reason"]
    assert (played.of("response.begin"), played.one("step.skipped")["step"]) == ([], "tidy")


@pytest.mark.parametrize(("pace", "lived_s"), [("drill", 0), ("real", 10)])
def test_until_a_substitute_is_reached_time_is_modelled_or_lived(
    tmp_path: Path, pace: str, lived_s: float
) -> None:
    deputy = Decider(role="deputy", reached=seconds(7), absent=("duty-manager",))
    played = drilled(tmp_path, MODELLED, decider=deputy, pace=pace)
    end = played.one("decision.end")
    assert (end["role"], end["absent"], end["takes_ns"]) == ("deputy", ["duty-manager"], 10 * 10**9)
    assert end["slept_ns"] == pytest.approx(lived_s * 1e9, abs=1e7)
    assert played.at("response.begin") - played.at("decision.begin") == pytest.approx(lived_s * 1e9, abs=1e7)


def test_of_an_asked_substitute_the_answer_is_lived_and_the_way_modelled(tmp_path: Path) -> None:
    deputy = Decider(role="deputy", reached=seconds(7), absent=("duty-manager",))
    played = drilled(tmp_path, ASKED, Person(2, Answer(True, "Lee")), decider=deputy)
    end = played.one("decision.end")
    assert end["takes_ns"] - end["slept_ns"] == 7 * 10**9
    assert end["slept_ns"] == pytest.approx(2e9, abs=1e7)


def test_the_first_who_is_not_absent_decides_after_all_before_were_tried() -> None:
    line = {"boss": (Substitute(role="a", after=seconds(5)), Substitute(role="b", after=seconds(10)))}
    assert decider_of("boss", [], line) == Decider(role="boss", reached=seconds(0))
    assert decider_of("boss", ["boss"], line).reached == seconds(5)
    assert decider_of("boss", ["a", "boss"], line) == Decider(
        role="b", reached=seconds(15), absent=("boss", "a")
    )
    assert decider_of("boss", ["boss", "a", "b"], line).role is None
    assert decider_of("boss", ["boss"], {}).role is None
