"""Every name a drill uses, against the system it drills: services, links, journeys, steps, checks, runbooks."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.errors import Problem
from chaoskit.model.drill import Objective, Step
from chaoskit.model.journey import MINIMUM_SERVICE
from chaoskit.model.redundancy import REDUNDANCY_RESTORED
from chaoskit.model.system import System
from chaoskit.quantity import Duration
from chaoskit.spec.drill_file import STEP_KEYS, CheckedDrill
from chaoskit.spec.member_params import Registry, check_params
from chaoskit.spec.minimum import minimum_objective
from chaoskit.spec.people import absences
from chaoskit.spec.places import Loc, Places, nearest, shown
from chaoskit.spec.redundancy import redundancy_objective

OBJECTIVES = {name.replace("_", "-"): name for name in Objective.model_fields}
_OF_ALL = ("*", MINIMUM_SERVICE, REDUNDANCY_RESTORED)
RUNBOOK_MEMBERS = {"promote": "promote-standby", "mend": "mend-standby", "leave": "leave-as-is"}
"""What a system's runbook `{database: …}` is called among the responses."""


class DrillNames:
    """Checks one drill's names; `problems` collects. Services are taken on trust while Compose is unreadable."""

    def __init__(
        self,
        checked: CheckedDrill,
        system: System,
        places: Places,
        registry: Registry,
        *,
        services_known: bool,
    ) -> None:
        self.drill = checked.drill
        self.steps = checked.steps
        self.driven = checked.driven
        self.unfit = bool(checked.problems)
        self.system = system
        self.places = places
        self.registry = registry
        self.services_known = services_known
        self.problems: list[Problem] = []

    def check(self) -> list[Problem]:
        """Every problem with a name in the drill."""
        self._load()
        self._objectives()
        for number, step in self.steps:
            self._targets(("timeline", number, "on"), step)
            self._response(("timeline", number), step)
            self._when(("timeline", number, "when"), step)
        self._ids()
        if not self.unfit:
            self.problems += absences(self.drill, self.system, self.places)
        self._checks()
        self._expect()
        return self.problems

    def say(self, loc: Loc, message: str, hint: str = "", *, key: bool = False) -> None:
        self.problems.append(self.places.problem(loc, message, hint, key=key))

    def one_of(self, loc: Loc, noun: str, name: str, known: Iterable[str], *, key: bool = False) -> bool:
        words = list(known)
        if name not in words:
            plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
            self.say(loc, f"no {noun} is called {shown(name)}", nearest(name, words, plural), key=key)
        return name in words

    def _load(self) -> None:
        for journey in self.driven:
            if self.system.journeys:
                self.one_of(("load", journey), "journey", journey, self.system.journeys, key=True)

    def _objectives(self) -> None:
        for journey, objective in self.drill.objectives.items():
            loc: Loc = ("objectives", journey)
            if journey == MINIMUM_SERVICE:
                self.problems += minimum_objective(self.drill, self.system, self.driven, self.places)
                continue
            if journey == REDUNDANCY_RESTORED:
                self.problems += redundancy_objective(self.drill, self.system, self.places)
                continue
            if journey != "*" and self.driven and journey not in self.driven:
                if journey in self.system.journeys:
                    self.say(loc, f"nothing drives the journey `{journey}`", "add it under `load`", key=True)
                else:
                    self.one_of(loc, "journey", journey, [*self.driven, *_OF_ALL], key=True)
            if not self.unfit and all(value is None for value in vars(objective).values()):
                self.say(
                    loc, f"`{journey}` asks for nothing", nearest("", OBJECTIVES, "objectives"), key=True
                )
            for key in ("rto", "minimum-service"):
                limit = getattr(objective, OBJECTIVES[key])
                if limit is not None and not limit.ns:
                    self.say((*loc, key), f"`{key}` is 0", "write how long; a loss of nothing is `lost: 0`")
            if objective.success is not None and not objective.success.ratio:
                self.say((*loc, "success"), "`success` is 0: nothing could miss it", "write a share like 80%")
            books = [
                self.system.journeys[name].books
                for name in self._meant(journey)
                if name in self.system.journeys
            ]
            for key in ("lost", "rpo"):
                if getattr(objective, key) is not None and books and not any(books):
                    hint = "add `books:` to the journey in the system file"
                    self.say((*loc, key), f"`{key}`: no books say what `{journey}` moved", hint, key=True)

    def _meant(self, journey: str) -> list[str]:
        return list(self.driven) if journey == "*" else [journey]

    def _targets(self, loc: Loc, step: Step) -> None:
        member = self.registry.members("faults").get(step.fault or "")
        kind = "service" if step.probe is not None else getattr(member, "targets", None)
        links = [link.name for link in self.system.links]
        for number, target in enumerate(step.on):
            where = (*loc, number)
            if kind == "release":
                self.one_of(where, "release", target, self.system.releases)
            elif kind == "link" or (kind is None and "->" in target):
                self._link(where, target, links)
            elif "->" in target:
                does = "hits" if step.probe is None else "looks at"
                self.say(where, f"`{step.name}` {does} a service, not the link {shown(target)}")
            elif step.fault is not None:
                self._hit(where, target)
            elif "." not in target:
                self._service(where, target)
            else:
                self._member_of_role(where, target)

    def _link(self, loc: Loc, target: str, links: list[str]) -> None:
        if "->" not in target:
            hint = nearest(target, links, "links")
            self.say(loc, f"{shown(target)} is no link; write it like 'gateway -> ledger'", hint)
        elif target not in links:
            hint = (
                nearest(target, links, "links") + "; another one is declared under `links` in the system file"
            )
            self.say(loc, f"the link {shown(target)} is not declared", hint)

    def _hit(self, loc: Loc, name: str) -> None:
        """A service, or a site: all of its services."""
        if self.services_known and name not in self.system.services and name not in self.system.sites:
            words = [*self.system.services, *self.system.sites]
            self.say(
                loc, f"no service or site is called {shown(name)}", nearest(name, words, "services and sites")
            )

    def _service(self, loc: Loc, name: str) -> None:
        if self.services_known:
            self.one_of(loc, "service", name, self.system.services)

    def _member_of_role(self, loc: Loc, target: str) -> None:
        role, _, member = target.partition(".")
        if self.one_of(loc, "role", role, self.system.roles) and member not in ("primary", "standby"):
            self.say(loc, f"{shown(target)}: a role has `primary` and `standby`")

    def _response(self, loc: Loc, step: Step) -> None:
        if step.respond is None or step.respond in self.registry.members("responses"):
            return
        runbooks = self.system.runbooks
        known = [*self.registry.members("responses"), *runbooks]
        if not self.one_of((*loc, "respond"), "response", step.respond, known):
            return
        name = RUNBOOK_MEMBERS.get(runbooks[step.respond].database or "")
        member = self.registry.members("responses").get(name or "")
        if member is None:
            self.say((*loc, "respond"), f"the runbook `{step.respond}` says nothing that can be done")
        else:
            self.problems += check_params(member, step.respond, step.params, STEP_KEYS, self.places, loc)

    def _when(self, loc: Loc, step: Step) -> None:
        if step.when is None:
            return
        if step.when.down is not None:
            self._service((*loc, "down"), step.when.down)
            soonest = Duration.of_ns((step.when.misses - 1) * step.when.every.ns)
            if 0 < step.when.within.ns <= soonest.ns:
                hint = f"more than {soonest}: {step.when.misses} looks, {step.when.every} apart"
                self.say(
                    (*loc, "within"), f"`within`: {step.when.within} is over before it can be seen", hint
                )
        if step.when.stop_rule is not None:
            self._stop_rule((*loc, "stop-rule"), step.when.stop_rule)
        journey = step.when.recovered
        if journey is not None and self.driven:
            if journey in self.system.journeys and journey not in self.driven:
                self.say(
                    (*loc, "recovered"), f"nothing drives the journey `{journey}`", "add it under `load`"
                )
            else:
                self.one_of((*loc, "recovered"), "journey", journey, self.driven)

    def _stop_rule(self, loc: Loc, name: str) -> None:
        """It exists, and the load drives what it looks at: a rule over nothing would stop every roll-out."""
        rules = self.system.stop_rules
        if self.one_of(loc, "stop rule", name, rules):
            for journey in rules[name].journeys:
                if self.driven and journey in self.system.journeys and journey not in self.driven:
                    self.say(loc, f"nothing drives the journey `{journey}`", "add it under `load`")

    def _ids(self) -> None:
        """Step ids are unique where they are written, every `done` and `begun` names one, and none waits for itself."""
        ids = step_ids([step for _, step in self.steps])
        owner = {name: number for (number, _), name in zip(self.steps, ids, strict=True)}
        waits: dict[str, str] = {}
        seen: set[str] = set()
        before: str | None = None
        for (number, step), name in zip(self.steps, ids, strict=True):
            if step.id is not None and step.id in seen:
                self.say(("timeline", number, "id"), f"the id {shown(step.id)} is already taken")
            seen.add(name)
            event = "done" if step.when and step.when.done is not None else "begun"
            other = getattr(step.when, event) if step.when else None
            if other is not None:
                if self.one_of(("timeline", number, "when", event), "step", other, owner):
                    waits[name] = other
            elif step.at is None and step.when is None and before is not None:
                waits[name] = before
            before = name
        for name in waits:
            reached, at = [name], waits.get(name)
            while at is not None and at not in reached:
                reached.append(at)
                at = waits.get(at)
            if at == name:
                self.say(
                    ("timeline", owner[name], "when"),
                    f"`{name}` waits for itself: {' ← '.join([*reached, name])}",
                )

    def _checks(self) -> None:
        known = self.registry.members("checks")
        for number, name in enumerate(self.drill.checks):
            if self.one_of(("checks", number), "check", name, known) and name in self.drill.checks[:number]:
                self.say(("checks", number), f"the check {shown(name)} is listed twice")

    def _expect(self) -> None:
        # With a mistake elsewhere the objective meant may be the one that could not be read.
        if isinstance(self.drill.expect, str) or self.unfit:
            return
        known = [*judged(self.driven, self.drill.objectives), *self.drill.checks]
        ids = step_ids([step for _, step in self.steps])
        known += [
            f"decision.{name}"
            for (_, step), name in zip(self.steps, ids, strict=True)
            if step.decision is not None
        ]
        for number, name in enumerate(self.drill.expect.fail):
            if name not in known:
                hint = nearest(name, known, "judged here")
                variant = (self.drill.variant or "",)
                by_variant = variant if self.places.written("expect", *variant) else ()
                self.say(
                    ("expect", *by_variant, "fail", number),
                    f"{shown(name)} is neither an objective nor a check of this drill",
                    hint,
                )


def judged(load: Iterable[str], objectives: dict[str, Objective]) -> list[str]:
    """`journey.objective` for every objective the drill declares, '*' spelt out for the journeys it drives."""
    found: dict[str, None] = {}
    for journey, objective in objectives.items():
        for key, name in OBJECTIVES.items():
            if getattr(objective, name) is not None:
                for one in load if journey == "*" else [journey]:
                    found[f"{one}.{key}"] = None
    return list(found)


def step_ids(steps: Iterable[Step]) -> list[str]:
    """Each step's id: as written, or its member's name, the second one `name-2`."""
    steps = list(steps)
    taken = {step.id for step in steps if step.id is not None}
    ids: list[str] = []
    for step in steps:
        name, number = step.id or step.name, 1
        while step.id is None and name in taken:
            number += 1
            name = f"{step.name}-{number}"
        taken.add(name)
        ids.append(name)
    return ids
