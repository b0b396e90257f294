"""What a customer types in: values drawn from the population by seed, filled into a journey's templates.

Templates know `{key}` (the idempotency key), `{name}` (a drawn value), `{name.minor}` (a drawn amount in
minor units; alone in a JSON string it becomes a number) and `{name.currency}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import msgspec

from chaoskit.errors import InputError
from chaoskit.model.journey import Between, Draw, Pick
from chaoskit.model.population import Pool, Population
from chaoskit.quantity import Money

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)(?:\.(minor|currency))?\}")


class Drawn(msgspec.Struct, frozen=True, gc=False):
    """One drawn value as text; an amount also in minor units (two decimals) with its currency."""

    text: str
    minor: int | None = None
    currency: str | None = None

    def part(self, name: str | None) -> str:
        """The text, or the part that a template names."""
        return self.text if name is None else str(self.minor) if name == "minor" else self.currency or ""


Values = Mapping[str, Drawn]


class Deck:
    """Draws one value for each name, the same sequence for the same seed."""

    def __init__(self, draw: Draw, population: Population | None, seed: str) -> None:
        pools = population.pools if population is not None else {}
        self._random = Random(seed)
        # names without `except` first: the others must differ from them
        order = sorted(
            draw, key=lambda name: isinstance(rule := draw[name], Pick) and rule.except_ is not None
        )
        self._rules = [(name, _rule(name, draw, pools)) for name in order]
        self._apart: dict[str, list[str]] = {}
        for name, rule in draw.items():
            if isinstance(rule, Pick) and rule.except_ is not None:
                self._apart.setdefault(rule.except_, []).append(name)

    def deal(self, given: Values = MappingProxyType({})) -> dict[str, Drawn]:
        """One value for each name; those that are given are not drawn, and the others keep apart from them."""
        values: dict[str, Drawn] = {}
        for name, rule in self._rules:
            drawn = rule(self._random, values)
            while given and drawn.text in (
                given[one].text for one in self._apart.get(name, ()) if one in given
            ):
                drawn = rule(self._random, values)
            values[name] = given.get(name, drawn)
        return values


_Rule = Callable[[Random, Values], Drawn]


def _rule(name: str, draw: Draw, pools: Mapping[str, Pool]) -> _Rule:
    rule = draw[name]
    if isinstance(rule, Between):
        return _between(name, rule)
    pick = rule if isinstance(rule, Pick) else Pick(from_=rule)
    if pick.from_ not in pools:
        raise InputError(f"draw.{name}: no pool {pick.from_!r}; known: {', '.join(sorted(pools)) or 'none'}")
    if pick.except_ is None:
        return _from_pool(pools[pick.from_])
    other = draw.get(pick.except_)
    if other is None or (isinstance(other, Pick) and other.except_ is not None):
        raise InputError(f"draw.{name}: `except: {pick.except_}` must name a value drawn without `except`")
    if pools[pick.from_].count < 2:
        raise InputError(f"draw.{name}: the pool {pick.from_!r} has one member, so none is different from it")
    return _from_pool_except(pools[pick.from_], pick.except_)


def _from_pool(pool: Pool) -> _Rule:
    text, below, count = pool.format.format, _below, pool.count
    return lambda random, _: Drawn(text(n=1 + below(random, count)))


def _from_pool_except(pool: Pool, other: str) -> _Rule:
    def rule(random: Random, values: Values) -> Drawn:
        first = 1 + _below(random, pool.count)
        text = pool.format.format(n=first)
        if text == values[other].text:  # uniform over the rest: a second draw from count - 1, shifted past it
            second = 1 + _below(random, pool.count - 1)
            text = pool.format.format(n=second + (second >= first))
        return Drawn(text)

    return rule


def _below(random: Random, count: int) -> int:
    """Uniform in [0, count): the number that `random.randrange(count)` gives, without its checks."""
    bits = count.bit_length()
    drawn = random.getrandbits(bits)
    while drawn >= count:
        drawn = random.getrandbits(bits)
    return drawn


def _between(name: str, rule: Between) -> _Rule:
    low, high = (_minor(name, money) for money in rule.between)
    currency = rule.between[0].currency
    if rule.between[1].currency != currency or low > high:
        raise InputError(f"draw.{name}: `between` needs the smaller amount first, both in one currency")

    def draw(random: Random, _: Values) -> Drawn:
        minor = low + _below(random, high - low + 1)
        return Drawn(f"{minor // 100}.{minor % 100:02d}", minor, currency)

    return draw


def _minor(name: str, money: Money) -> int:
    minor = money.amount * 100
    if minor != minor.to_integral_value():
        raise InputError(f"draw.{name}: {money} has more than two decimals")
    return int(minor)


_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
"""What stands for itself in a URL; nearly every value is of it."""


@dataclass(frozen=True, slots=True)
class Template:
    """Text with placeholders, compiled once and filled often."""

    literals: tuple[str, ...]
    names: tuple[tuple[str, str | None], ...]

    @classmethod
    def compile(cls, text: str, known: frozenset[str], where: str) -> Template:
        """Raises InputError for a placeholder that nothing fills."""
        pieces = _PLACEHOLDER.split(text)
        names = tuple(zip(pieces[1::3], pieces[2::3], strict=True))
        for name, _ in names:
            if name not in known:
                raise InputError(f"{where}: nothing fills {{{name}}}; known: {', '.join(sorted(known))}")
        return cls(tuple(pieces[::3]), names)

    def fill(self, values: Values, escape: Callable[[str], str] = str) -> str:
        """The text; `escape` is applied to the values, not to the literals."""
        if not self.names:
            return self.literals[0]
        parts = [self.literals[0]]
        for (name, part), literal in zip(self.names, self.literals[1:], strict=True):
            parts.append(escape(values[name].part(part)))
            parts.append(literal)
        return "".join(parts)


def percent_encoded(text: str) -> str:
    """A value as one segment or query value of a URL (RFC 3986)."""
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def compile_tree(tree: Any, known: frozenset[str], where: str) -> Callable[[Values], Any]:
    """A JSON value whose strings are templates; returns what fills it."""
    if isinstance(tree, str):
        template = Template.compile(tree, known, where)
        if not template.names:
            return lambda _: tree
        if template.literals == ("", "") and template.names[0][1] == "minor":
            name = template.names[0][0]
            return lambda values: values[name].minor
        return template.fill
    if isinstance(tree, Mapping):
        fields = {str(key): compile_tree(value, known, f"{where}.{key}") for key, value in tree.items()}
        return lambda values: {key: fill(values) for key, fill in fields.items()}
    if isinstance(tree, list | tuple):
        items = [compile_tree(item, known, f"{where}.{n}") for n, item in enumerate(tree)]
        return lambda values: [fill(values) for fill in items]
    return lambda _: tree
