"""Compose's short forms written out as its long forms, so that files merge alike whichever form each of them uses."""

from __future__ import annotations

import re
from collections.abc import Callable

from chaoskit.errors import Problem
from chaoskit.spec.compose_tree import Misfit, Sited, collected
from chaoskit.spec.places import shown

Shape = Callable[[Sited], Sited]
_PORTS_MAX = 1000
_PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_DRIVE = re.compile(r"[A-Za-z]:\\")


def shape(service: Sited, shapes: dict[str, Shape], problems: list[Problem]) -> Sited:
    """A mapping with every short form in it written out; a value that cannot be is a problem and is left out."""
    found = {}
    for key, one in service.mapping.items():
        if one.value is None or key not in shapes:
            found[key] = one
            continue
        made = collected(key, problems, lambda key=key, one=one: shapes[key](one), one.like(None))  # type: ignore[misc]
        found[key] = Sited(made.value, made.origin, made.loc, one.tag)
    return Sited(found, service.origin, service.loc, service.tag)


def pairs(item: Sited) -> Sited:
    """`[A=1, B]` as a mapping; B without a value is null."""
    if isinstance(item.value, dict):
        return item
    found = {}
    for one in item.items:
        name, equals, text = one.text.partition("=")
        if not name:
            raise Misfit(one, f"{shown(one.text)} has no name; write NAME=value")
        found[name] = Sited(text if equals else None, one.origin, one.loc, one.tag)
    return item.like(found)


def listed(item: Sited) -> Sited:
    """A lone value as a list of one."""
    return item if isinstance(item.value, list) else item.like([item])


def named(item: Sited) -> Sited:
    """`[a, b]` as a mapping to null."""
    return (
        item if isinstance(item.value, dict) else item.like({one.text: one.like(None) for one in item.items})
    )


def depends_on(item: Sited) -> Sited:
    """`[a]` as `a: {condition: service_started}`."""
    if isinstance(item.value, dict):
        return item
    return item.like({one.text: one.like({"condition": one.like("service_started")}) for one in item.items})


def below(key: str) -> Shape:
    """A lone value as a mapping with this one key."""
    return lambda item: item if isinstance(item.value, dict) else item.like({key: item.like(item.text)})


def build(item: Sited) -> Sited:
    """`./folder` as `context: ./folder`, and what is written in two ways within."""
    problems: list[Problem] = []
    inner: dict[str, Shape] = {
        "args": pairs, "labels": pairs, "additional_contexts": pairs, "extra_hosts": extra_hosts, "ulimits": ulimits,
        "secrets": each(below("source")), "ssh": listed,
    }  # fmt: skip
    made = shape(below("context")(item), inner, problems)
    if problems:
        raise Misfit(item, problems[0].message)
    return made


def deploy(item: Sited) -> Sited:
    """`labels` within."""
    problems: list[Problem] = []
    made = shape(item.like(item.mapping), {"labels": pairs}, problems)
    if problems:
        raise Misfit(item, problems[0].message)
    return made


def each(one: Shape) -> Shape:
    """Every item of a list."""
    return lambda item: item.like([one(entry) for entry in item.items])


def extra_hosts(item: Sited) -> Sited:
    """Every form as a list of `name=address`."""
    found = []
    if isinstance(item.value, dict):
        for name, one in item.value.items():
            found += [address.like(f"{name}={address.text.strip('[]')}") for address in listed(one).items]
        return item.like(found)
    for one in item.items:
        match = re.fullmatch(r"([^=:\s]+)\s*[=:]\s*(\S+)", one.text)
        if not match:
            raise Misfit(one, f"{shown(one.text)} is no host; write name=address")
        found.append(one.like(f"{match[1]}={match[2].strip('[]')}"))
    return item.like(found)


def ulimits(item: Sited) -> Sited:
    """`nofile: 1024` as soft and hard limit."""
    return item.like(
        {
            name: one if isinstance(one.value, dict) else one.like({"soft": one, "hard": one})
            for name, one in item.mapping.items()
        }
    )


def devices(item: Sited) -> Sited:
    """`/dev/a:/dev/b:r` as its parts."""
    found = []
    for one in item.items:
        if isinstance(one.value, dict):
            found.append(one)
            continue
        parts = one.text.split(":")
        if len(parts) > 3 or not parts[0]:
            raise Misfit(one, f"{shown(one.text)} is no device; write /dev/host:/dev/container:rwm")
        if len(parts) == 2 and not parts[1].startswith("/"):
            parts = [parts[0], parts[0], parts[1]]
        keys = ("source", "target", "permissions")
        found.append(one.like({key: one.like(part) for key, part in zip(keys, parts, strict=False)}))
    return item.like(found)


def ports(item: Sited) -> Sited:
    """Every port of its own, in the long form; a range of published ports is spread over a range of targets."""
    return item.like([port for one in item.items for port in _port(one)])


def _port(item: Sited) -> list[Sited]:
    if isinstance(item.value, dict):
        parts = dict(item.value)
        published = parts["published"].text if "published" in parts else ""
        target = parts.get("target") or item.like(None)
    else:
        text, slash, protocol = item.text.partition("/")
        if slash and protocol not in ("tcp", "udp", "sctp"):
            raise Misfit(item, f"{shown(protocol)} is no protocol; tcp, udp or sctp")
        host, _, last = text.rpartition(":")
        ip, _, published = host.rpartition(":")
        parts = {"protocol": item.like(protocol or "tcp"), "host_ip": item.like(ip.strip("[]"))}
        target = item.like(last)
    targets = port_range(target)
    hosts = _published(item, published, len(targets))
    return [
        item.like({**parts, "target": target.like(str(number)), "published": item.like(host)})
        for number, host in zip(targets, hosts, strict=True)
    ]


def _published(item: Sited, published: str, count: int) -> list[str]:
    if not published or count == 1:
        if published:
            port_range(item.like(published), 0)
        return [published] * count
    spread = port_range(item.like(published), 0)
    if len(spread) != count:
        raise Misfit(item, f"{shown(published)} and its {count} ports in the container differ in number")
    return [str(one) for one in spread]


def port_range(item: Sited, least: int = 1) -> range:
    """`80` or `80-90`."""
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", item.text)
    first = int(match[1]) if match else -1
    last = int(match[2] or first) if match else -1
    if not least <= first <= last <= 65535 or last - first > _PORTS_MAX:
        raise Misfit(item, f"{shown(item.text)} is no port; write one from 1 to 65535, like 8080 or 8080:80")
    return range(first, last + 1)


def expose(item: Sited) -> Sited:
    """Like ports, without a host's side."""
    return item.like([port for one in item.items for port in _port(one.like(one.text.rpartition(":")[2]))])


def volumes(item: Sited) -> Sited:
    """`source:target:options` as its parts; the target of a long form is left as it stands."""
    return item.like([one if isinstance(one.value, dict) else _volume(one) for one in item.items])


def _volume(item: Sited) -> Sited:
    text = item.text
    drive = _DRIVE.match(text)
    head, rest = (text[:2], text[2:]) if drive else ("", text)
    first, *others = rest.split(":")
    parts = [head + first, *others]
    if not all(parts) or len(parts) > 3:
        raise Misfit(item, f"{shown(text)} is no volume; write source:target or source:target:ro")
    if len(parts) == 1:
        return item.like({"type": item.like("volume"), "target": item.like(parts[0])})
    is_path = parts[0].startswith((".", "/", "~", "\\")) or bool(drive)
    found = {
        "type": item.like("bind" if is_path else "volume"),
        "source": item.like(parts[0]),
        "target": item.like(parts[1]),
    }
    bind = {"create_host_path": item.like(True)} if is_path else {}
    for option in parts[2].split(",") if len(parts) == 3 else ():
        if option in ("ro", "rw"):
            found["read_only"] = item.like(option == "ro")
        elif option in ("z", "Z"):
            bind["selinux"] = item.like(option)
        elif option in _PROPAGATIONS:
            bind["propagation"] = item.like(option)
        elif option == "nocopy":
            found["volume"] = item.like({"nocopy": item.like(True)})
        elif option not in ("cached", "delegated", "consistent"):
            raise Misfit(
                item, f"{shown(option)} is no option of a volume; ro, rw, z, Z, nocopy or a propagation"
            )
    if bind and is_path:
        found["bind"] = item.like(bind)
    return item.like(found)


SERVICE: dict[str, Shape] = {
    **dict.fromkeys(("environment", "labels", "annotations", "sysctls"), pairs),
    **dict.fromkeys(("dns", "dns_search", "tmpfs", "label_file"), listed),
    **dict.fromkeys(("secrets", "configs"), each(below("source"))),
    "env_file": lambda item: each(below("path"))(listed(item)),
    "networks": named,
    "models": named,
    "depends_on": depends_on,
    "extends": below("service"),
    "build": build,
    "deploy": deploy,
    "extra_hosts": extra_hosts,
    "ulimits": ulimits,
    "devices": devices,
    "ports": ports,
    "expose": expose,
    "volumes": volumes,
}
OTHERS: dict[str, Shape] = {"labels": pairs}
