"""Drawn values and templates."""

from __future__ import annotations

from collections import Counter

import pytest

from chaoskit.conductor.draw import Deck, Drawn, Template, compile_tree, percent_encoded
from chaoskit.errors import InputError
from chaoskit.model.system import Between, Draw, Pick, Pool, Population
from chaoskit.quantity import Money

POPULATION = Population(
    pools={"accounts": Pool(count=3, format="ACC-{n:05d}"), "one": Pool(count=1, format="ONLY-{n}")}
)
DRAW: Draw = {
    "payee": Pick(from_="accounts", except_="payer"),
    "payer": "accounts",
    "amount": Between(between=(Money.parse("0.05 EUR"), Money.parse("0.07 EUR"))),
}


def test_the_same_seed_draws_the_same_and_another_seed_does_not() -> None:
    first, second, other = (Deck(DRAW, POPULATION, seed) for seed in ("7", "7", "8"))
    draws = [[deck.deal() for _ in range(50)] for deck in (first, second, other)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


def test_pools_are_drawn_uniformly_and_except_is_another_one() -> None:
    deck = Deck(DRAW, POPULATION, "seed")
    pairs = Counter(
        (values["payer"].text, values["payee"].text) for values in (deck.deal() for _ in range(6000))
    )
    assert len(pairs) == 6  # every ordered pair of different accounts
    assert all(850 < count < 1150 for count in pairs.values())


def test_an_amount_is_between_both_ends_included() -> None:
    deck = Deck(DRAW, POPULATION, "seed")
    seen = {deck.deal()["amount"] for _ in range(300)}
    assert seen == {Drawn("0.05", 5, "EUR"), Drawn("0.06", 6, "EUR"), Drawn("0.07", 7, "EUR")}


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        ({"a": "nobody"}, ["draw.a", "no pool 'nobody'", "accounts, one"]),
        ({"a": Pick(from_="accounts", except_="b")}, ["draw.a", "except: b"]),
        ({"a": "one", "b": Pick(from_="one", except_="a")}, ["draw.b", "one member"]),
        (
            {"b": Pick(from_="accounts", except_="c"), "c": Pick(from_="accounts", except_="b")},
            ["drawn without `except`"],
        ),
        ({"m": Between(between=(Money.parse("2 EUR"), Money.parse("1 EUR")))}, ["draw.m", "smaller"]),
        ({"m": Between(between=(Money.parse("1 EUR"), Money.parse("2 CNY")))}, ["one currency"]),
        ({"m": Between(between=(Money.parse("0.001 EUR"), Money.parse("2 EUR")))}, ["two decimals"]),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Draw, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        Deck(draw, POPULATION, "seed")
    assert all(word in str(refused.value) for word in words)


VALUES = {"a": Drawn("x/y z"), "m": Drawn("12.30", 1230, "EUR")}
KNOWN = frozenset(VALUES)


def test_a_template_fills_names_and_leaves_other_braces() -> None:
    template = Template.compile('{"q": {a}} {m.minor} {m.currency} {}{ a}', KNOWN, "here")
    assert template.fill(VALUES) == '{"q": x/y z} 1230 EUR {}{ a}'


def test_values_in_an_address_are_encoded() -> None:
    assert (
        Template.compile("/p/{a}?q={m}", KNOWN, "here").fill(VALUES, percent_encoded)
        == "/p/x%2Fy%20z?q=12.30"
    )


def test_a_placeholder_that_nothing_fills_is_refused() -> None:
    with pytest.raises(InputError, match=r"here: nothing fills \{b\}; known: a, m"):
        Template.compile("{a} {b}", KNOWN, "here")


def test_a_tree_keeps_its_types() -> None:
    fill = compile_tree(
        {"text": "{m}", "minor": "{m.minor}", "n": 1, "yes": True, "none": None, "list": ["{a}", 2.5]},
        KNOWN,
        "json",
    )
    assert fill(VALUES) == {
        "text": "12.30",
        "minor": 1230,
        "n": 1,
        "yes": True,
        "none": None,
        "list": ["x/y z", 2.5],
    }
