"""Objects of the user's own files, by ``file.py:name`` or ``package.module:name``."""

import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from clipact.errors import ClipactError


class LoadError(ClipactError, ValueError):
    """What was named cannot be loaded."""


def load(reference: str) -> Any:
    """The object that a reference names.

    A file is imported under its own name with its folder on the path, as a script's neighbours are, so that worker processes
    find its functions too.

    Args:
        reference: ``path/to/file.py:name`` or ``package.module:name``; the name may have dots.

    Raises:
        LoadError: It is no such reference, nothing is there, or the file itself raises.
    """
    place, colon, name = reference.rpartition(":")
    if not (colon and place and all(part.isidentifier() for part in name.split("."))):
        raise LoadError(
            f"{reference!r} names nothing; give a file and a name in it, as study.py:campaign"
        )
    module = _file(Path(place)) if place.endswith(".py") else _module(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            own = ", ".join(
                n
                for n, v in vars(module).items()
                if not n.startswith("_") and not isinstance(v, ModuleType)
            )
            raise LoadError(f"{place} has no {name!r}; it has {own or 'nothing'}")
        found = getattr(found, part)
    return found


def call(reference: str, function: Any) -> Any:
    """What a function of the user's returns.

    Raises:
        LoadError: It raises; its traceback goes to standard error.
    """
    try:
        return function()
    except ClipactError:
        raise
    except Exception as error:
        raise _raised(f"{reference}() raised", error) from error


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise LoadError(f"there is no file {path}; the path is taken from {Path.cwd()}")
    if not path.stem.isidentifier():
        raise LoadError(f"{path} cannot be imported: rename it to letters, digits and underscores")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = _import(path.stem, str(path))
    origin = getattr(module, "__file__", None)
    if origin is None or Path(origin).resolve() != path.resolve():
        raise LoadError(
            f"{path} is hidden by another module called {path.stem!r} ({origin or 'built in'}); rename the file"
        )
    return module


def _module(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        there = find_spec(name) is not None
    except (ImportError, ValueError):
        there = False
    if not there:
        raise LoadError(
            f"there is no module {name!r}; a file is named with its ending, as study.py:campaign"
        )
    return _import(name, name)


def _import(name: str, shown: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        raise _raised(f"{shown} cannot be imported:", error) from error


def _raised(what: str, error: Exception) -> LoadError:
    """Show where the user's code raised, and say so in one line."""
    traceback.print_exception(error)
    return LoadError(f"{what} {type(error).__name__}: {error}")
