"""Compose files to one project: `include`, `extends` within and across files, override files merged over.

compose.yaml ─ include ─┐
             ─ extends ─┼─ sections: services, networks, volumes, secrets, configs ─┐
override.yaml ──────────┘                                                           ├─ merged, `!reset` settled
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaoskit.errors import InputError, Problem
from chaoskit.spec.compose_env_file import read_env_file
from chaoskit.spec.compose_merge import merged
from chaoskit.spec.compose_shapes import OTHERS, SERVICE, listed, shape
from chaoskit.spec.compose_tree import RESET, TAGS, Misfit, Origin, Sited, collected, sited
from chaoskit.spec.compose_variables import BadVariable, Variables
from chaoskit.spec.places import nearest, shown
from chaoskit.spec.source import read

SECTIONS = ("services", "networks", "volumes", "secrets", "configs")
TOP = frozenset({"name", "version", "include", "models", *SECTIONS})
_DEPTH_MAX = 20
Sections = dict[str, dict[str, Sited]]


@dataclass
class Files:
    """Reads Compose files, each once; `problems` are collected, not raised."""

    problems: list[Problem] = field(default_factory=list)
    unset: set[str] = field(default_factory=set)
    """Variables that had neither a value nor a default."""
    read: dict[tuple[Path, Path], Sections] = field(default_factory=dict)
    roots: dict[Path, Sited] = field(default_factory=dict)

    def project(
        self, paths: list[Path], folder: Path, environ: Mapping[str, str], depth: int = 0
    ) -> Sections:
        """The files merged, each over those before it; relative paths begin at `folder`."""
        variables = Variables(environ, self.unset)
        whole: Sections = {section: {} for section in SECTIONS}
        for path in paths:
            one = self._file(path, folder, variables, whole["services"], depth)
            root = self.roots.get(path)
            for section in SECTIONS:
                if root is not None and section in root.mapping and root.mapping[section].tag in TAGS:
                    whole[section].clear()
                self._over(whole[section], one[section])
        return whole

    def _over(self, whole: dict[str, Sited], one: Mapping[str, Sited]) -> None:
        for name, item in one.items():
            if name in whole:
                whole[name] = self._merged(name, whole[name], item)
            else:
                whole[name] = item

    def _merged(self, name: str, base: Sited, over: Sited) -> Sited:
        return collected(name, self.problems, lambda: merged(base, over), base)

    def _file(
        self, path: Path, folder: Path, variables: Variables, before: Mapping[str, Sited], depth: int
    ) -> Sections:
        """One file with what its services extend merged below them, and what it includes."""
        raw = self._sections(path, folder, variables)
        services = {
            name: self._extended(name, one, raw["services"], before, variables, ())
            for name, one in raw["services"].items()
        }
        found = {**raw, "services": services}
        root = self.roots.get(path)
        include = root.mapping.get("include") if root is not None else None
        if include is not None:
            nothing: Sections = {}
            included = collected(
                "include", self.problems, lambda: self._include(include, variables, depth), nothing
            )
            for section, entries in included.items():
                found[section] = self._both(section, found[section], entries)
        return found

    def _both(
        self, section: str, own: Mapping[str, Sited], included: Mapping[str, Sited]
    ) -> dict[str, Sited]:
        found = dict(included)
        for name, one in own.items():
            if name in included and _without_places(included[name]) != _without_places(one):
                hint = "an included file's entries are changed by an override file, not by the file that includes it"
                self.problems.append(
                    one.problem(f"`{section}.{name}` stands in an included file already", hint, key=True)
                )
            found[name] = one
        return found

    # -- include --------------------------------------------------------------------------------------

    def _include(self, include: Sited, variables: Variables, depth: int) -> Sections:
        whole: Sections = {section: {} for section in SECTIONS}
        for item in include.items:
            if depth >= _DEPTH_MAX:
                raise Misfit(item, f"includes nest deeper than {_DEPTH_MAX} files; a loop")
            for section, entries in self._included(item, variables, depth).items():
                whole[section] = self._both(section, entries, whole[section])
        return whole

    def _included(self, item: Sited, variables: Variables, depth: int) -> Sections:
        entry = item if isinstance(item.value, dict) else item.like({"path": item})
        parts = entry.known(frozenset({"path", "project_directory", "env_file"}), "an entry of `include`")
        if "path" not in parts:
            raise Misfit(item, "names no file", "write `path: other.yaml`")
        paths = [self._local(one) for one in listed(parts["path"]).items]
        start = item.origin.folder
        folder = start / parts["project_directory"].text if "project_directory" in parts else paths[0].parent
        environ = dict(variables.values)
        if "env_file" in parts:
            files = [(start / one.text, one) for one in listed(parts["env_file"]).items]
        else:
            files = [(folder / ".env", item)] if (folder / ".env").is_file() else []
        for path, where in files:
            if path == Path("/dev/null"):
                continue
            try:
                environ = {**read_env_file(path, Variables(environ, self.unset)), **environ}
            except (OSError, UnicodeDecodeError, BadVariable) as error:
                raise Misfit(where, f"cannot read {shown(str(path))}: {error}") from None
        return self.project(paths, folder, environ, depth + 1)

    def _local(self, one: Sited) -> Path:
        if "://" in one.text or one.text.startswith(("git@", "oci:")):
            raise Misfit(one, f"{shown(one.text)} is no file of this machine; only files are included")
        return (one.origin.folder / one.text).resolve()

    # -- extends --------------------------------------------------------------------------------------

    def _extended(
        self,
        name: str,
        service: Sited,
        siblings: Mapping[str, Sited],
        before: Mapping[str, Sited],
        variables: Variables,
        chain: tuple[tuple[Path, str], ...],
    ) -> Sited:
        """The service with what it extends merged below it."""
        here = (service.origin.places.path, name)
        extends = service.mapping.get("extends")
        if extends is None:
            return service
        service = service.like({key: one for key, one in service.mapping.items() if key != "extends"})

        def follow() -> Sited:
            if extends.value is None:
                return service
            parts = extends.known(frozenset({"service", "file"}), "`extends`")
            base = parts["service"].text if "service" in parts else ""
            others = siblings if "file" not in parts else self._beside(parts["file"], variables)
            known = others if base in others or "file" in parts else {**before, **others}
            if base not in known:
                if "file" in parts and not others:
                    return service
                raise Misfit(extends, f"{shown(base)}: no such service", nearest(base, known, "services"))
            there = (known[base].origin.places.path, base)
            if there in (*chain, here) or len(chain) > _DEPTH_MAX:
                raise Misfit(extends, f"{shown(base)}: extends itself", nearest(base, known, "services"))
            below = self._extended(base, known[base], others, {}, variables, (*chain, here))
            return merged(below, service)

        return collected("extends", self.problems, follow, service)

    def _beside(self, file: Sited, variables: Variables) -> dict[str, Sited]:
        path = self._local(file)
        return self._sections(path, path.parent, variables)["services"]

    # -- one file -------------------------------------------------------------------------------------

    def _sections(self, path: Path, folder: Path, variables: Variables) -> Sections:
        """A file's sections in long form; empty for a file that cannot be read, which is a problem."""
        if (path, folder) in self.read:
            return self.read[path, folder]
        found: Sections = {section: {} for section in SECTIONS}
        self.read[path, folder] = found
        try:
            document = read(path, "Compose file", TAGS)
        except InputError as error:
            self.problems += [one for one in error.problems if isinstance(one, Problem)]
            return found
        root = sited(document, Origin(document.places, folder, variables), self.problems)
        self.roots[path] = root
        for key, one in root.mapping.items():
            if key not in TOP and not key.startswith("x-"):
                hint = nearest(key, TOP, "known")
                message = f"a Compose file has no key `{shown(key)[1:-1]}`"
                self.problems.append(one.problem(message, hint, key=True))
        for section in SECTIONS:
            if section in root.mapping and root.mapping[section].tag != RESET:
                found[section].update(self._section(section, root.mapping[section]))
        return found

    def _section(self, section: str, item: Sited) -> dict[str, Sited]:
        shapes = SERVICE if section == "services" else OTHERS
        found = {}
        nothing: dict[str, Sited] = {}
        for name, one in collected(section, self.problems, lambda: item.mapping, nothing).items():
            if not re.fullmatch(r"[a-zA-Z0-9._-]+", name) and not name.startswith("x-"):
                message = f"{shown(name)} is no name; letters, digits, `.`, `_` and `-` make one"
                self.problems.append(one.problem(message, key=True))
            if section == "services" and one.value is None and not one.tag:
                self.problems.append(one.problem(f"`{name}`: null is no mapping"))
            if one.value is not None and not isinstance(one.value, dict):
                self.problems.append(one.problem(f"`{name}`: {shown(one.plain)} is no mapping"))
                found[name] = one.like({})
            elif section == "services" or one.value is not None:
                found[name] = shape(one, shapes, self.problems)
            else:
                found[name] = one
        return found


def _without_places(item: Sited) -> object:
    if isinstance(item.value, dict):
        return {key: _without_places(one) for key, one in item.value.items()}
    return [_without_places(one) for one in item.value] if isinstance(item.value, list) else item.value
