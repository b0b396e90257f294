"""Finds a class of the user's own by the reference that system.yaml gives, without importing it or for use.

file.py:Class             a file beside system.yaml; its folder is importable for it
package.module:Class      an installed module
name                      an entry point in the group chaoskit.journeys or chaoskit.books
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from chaoskit.errors import InputError

_BYTES_MAX = 1_000_000
Group = Literal["chaoskit.journeys", "chaoskit.books"]


def missing(reference: str, folder: Path, group: Group) -> str | None:
    """Why the reference leads nowhere, as far as can be told without running anybody's code; None if it seems right."""
    module, colon, name = reference.partition(":")
    if not colon:
        known = sorted(entry.name for entry in entry_points(group=group))
        if reference in known:
            return None
        return f"no entry point of {group} is called {reference!r}; known: {', '.join(known) or 'none'}"
    if not module or not name.isidentifier():
        return f"{reference!r} is no class; write it like basket.py:Put or package.module:Put"
    if not module.endswith(".py"):
        package = module.partition(".")[0]
        # Not every text is a name that can be looked for: an empty one, and `__main__`, raise ValueError.
        found = package.isidentifier() and package != "__main__" and importlib.util.find_spec(package)
        return None if found else f"no package is called {package!r}"
    path = folder / module
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for until somebody writes
            return f"{module}: is no regular file"
        if path.exists() and path.stat().st_size > _BYTES_MAX:
            return f"{module}: is larger than 1 MB"
        tree = ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        return f"{module}: {error.strerror}; the path is relative to system.yaml"
    except (SyntaxError, ValueError) as error:
        return f"{module}: {error}"
    except (RecursionError, MemoryError):  # how the parser says that there is no end of brackets or signs
        return f"{module}: nested too deep to be read"
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    if name in classes:
        return None
    return f"{module} defines no class {name!r}; it has: {', '.join(classes) or 'none'}"


def load_class(reference: str, folder: Path, group: Group) -> type[Any]:
    """Import it. Raises InputError, which names what its code raised."""
    if (why := missing(reference, folder, group)) is not None:
        raise InputError(f"class {reference}: {why}")
    module, colon, name = reference.partition(":")
    try:
        if not colon:
            found: Any = next(iter(entry_points(group=group, name=reference))).load()
        else:
            code = _file(folder / module) if module.endswith(".py") else importlib.import_module(module)
            found = getattr(code, name, None)
    except Exception as error:
        raise InputError(f"class {reference} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(found, type):
        raise InputError(f"class {reference}: is no class")
    return found


def _file(path: Path) -> ModuleType:
    """The module of a file, loaded once for each path, with its folder on the import path."""
    path = path.resolve()
    name = f"_chaoskit_own_{path.stem}_{abs(hash(path)):x}"
    if name in sys.modules:
        return sys.modules[name]
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
