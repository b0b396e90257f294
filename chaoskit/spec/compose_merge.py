"""One Compose file over another, by Compose's rules ("Merge and override").

Mappings merge by key and lists add up; commands replace; entries of ports, volumes, secrets and the like that mean the
same thing replace each other; `!reset` takes away, `!override` replaces.
"""

from __future__ import annotations

from collections.abc import Callable

from chaoskit.spec.compose_tree import RESET, TAGS, Misfit, Sited

Path = tuple[str, ...]
_REPLACED = frozenset({("command",), ("entrypoint",), ("healthcheck", "test")})
_PAIRS = frozenset(
    {
        ("environment",),
        ("labels",),
        ("annotations",),
        ("sysctls",),
        ("build", "args"),
        ("build", "labels"),
        ("deploy", "labels"),
    }
)
"""Mappings in which null is a value: taken from the environment."""


def _of(*names: str) -> Callable[[Sited], str]:
    def key(item: Sited) -> str:
        entry = item.mapping
        return "|".join(entry[name].text if name in entry else "" for name in names)

    return key


def _target(default: str) -> Callable[[Sited], str]:
    def key(item: Sited) -> str:
        entry = item.mapping
        source = entry["source"].text if "source" in entry else ""
        target = entry["target"].text if "target" in entry else source
        return target if target.startswith("/") else default + target

    return key


_UNIQUE: dict[Path, Callable[[Sited], str]] = {
    ("volumes",): lambda item: item.mapping["target"].text.rstrip("/") if "target" in item.mapping else "",
    ("ports",): _of("host_ip", "target", "published", "protocol"),
    ("expose",): _of("target", "protocol"),
    ("secrets",): _target("/run/secrets/"),
    ("configs",): _target("/"),
    ("devices",): lambda item: (
        item.mapping["target"].text if "target" in item.mapping else _of("source")(item)
    ),
    ("env_file",): _of("path"),
    ("tmpfs",): lambda item: item.text.partition(":")[0],
    ("ipam", "config"): _of("subnet"),
}
_ADDED = frozenset(
    {("group_add",), ("security_opt",), ("volumes_from",), ("post_start",), ("pre_stop",), ("gpus",)}
)
"""Lists that may hold one thing twice."""


def merged(base: Sited, over: Sited, path: Path = ()) -> Sited:
    """`over` merged over `base`; `path` is below a service, network, volume, secret or config.

    Raises Misfit where one holds a mapping or list and the other does not.
    """
    if over.tag in TAGS or base.tag == RESET or path in _REPLACED:
        return over
    if over.value is None:
        return over if path[:-1] in _PAIRS else base
    if base.value is None:
        return over
    if isinstance(base.value, dict) != isinstance(over.value, dict):
        raise Misfit(over, "a mapping and something else cannot be merged", "write it as the other file does")
    if isinstance(base.value, list) != isinstance(over.value, list):
        raise Misfit(over, "a list and something else cannot be merged", "write it as the other file does")
    if isinstance(over.value, dict):
        return Sited(_mappings(base, over, path), over.origin, over.loc, base.tag)
    if isinstance(over.value, list):
        return Sited(_lists(base, over, path), over.origin, over.loc, base.tag)
    return over


def _mappings(base: Sited, over: Sited, path: Path) -> dict[str, Sited]:
    found = dict(base.mapping)
    drivers = [one["driver"].text for one in (found, over.mapping) if "driver" in one]
    if path == ("logging",) and len(set(drivers)) == 2:
        return over.mapping
    for key, one in over.mapping.items():
        known = key in found and not key.startswith("x-")
        found[key] = merged(found[key], one, (*path, key)) if known else one
    return found


def _lists(base: Sited, over: Sited, path: Path) -> list[Sited]:
    every = [*base.items, *over.items]
    if path in _ADDED:
        return every
    return unique(every, path)


def unique(every: list[Sited], path: Path) -> list[Sited]:
    """The items of a list, the last of those that mean the same at the place of the first."""
    key = _UNIQUE.get(path)
    found: dict[object, Sited] = {}
    for number, one in enumerate(every):
        if key is not None:
            found[key(one)] = one
        else:
            found[number if isinstance(one.value, dict | list) else one.text] = one
    return list(found.values())
