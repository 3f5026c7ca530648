"""Notice, and take back, what a piece of code does to the attributes of modules."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

from torch import nn

__all__ = ["unchanged"]

_Items = list[tuple[Any, Any]]


@contextmanager
def unchanged(container: nn.Module) -> Generator[Callable[[], list[str]]]:
    """Put back every attribute of a module and its descendants on exit, training modes included.

    Yields:
        A function that names the attributes, training modes aside, which differ from what they were.
    """
    before = [
        (path, module.__dict__, _nested(module.__dict__))
        for path, module in container.named_modules()
    ]

    def changed() -> list[str]:
        return [
            f"{path}.{key}".removeprefix(".")
            for path, attributes, saved in before
            for key in _differences(attributes, saved)
            if key != "training"
        ]

    try:
        yield changed
    finally:
        for _, attributes, saved in before:
            if _differences(attributes, saved):
                _put_back(attributes, saved)


def _nested(attributes: dict[str, Any]) -> dict[str, tuple[Any, _Items | None]]:
    """Each value with the contents of it, if it is a list or dictionary."""
    return {key: (value, _contents(value)) for key, value in attributes.items()}


def _contents(value: Any) -> _Items | None:
    if isinstance(value, dict):
        return list(cast("dict[Any, Any]", value).items())
    if isinstance(value, list):
        return list(enumerate(cast("list[Any]", value)))
    return None


def _differences(
    attributes: dict[str, Any], saved: dict[str, tuple[Any, _Items | None]]
) -> list[str]:
    new = [key for key in attributes if key not in saved]
    return new + [
        key
        for key, (value, contents) in saved.items()
        if key not in attributes
        or attributes[key] is not value
        or not _same(_contents(value), contents)
    ]


def _same(now: _Items | None, then: _Items | None) -> bool:
    if now is None or then is None:
        return now is then
    return len(now) == len(then) and all(
        a[0] == b[0] and a[1] is b[1] for a, b in zip(now, then, strict=True)
    )


def _put_back(attributes: dict[str, Any], saved: dict[str, tuple[Any, _Items | None]]) -> None:
    attributes.clear()
    for key, (value, contents) in saved.items():
        attributes[key] = value
        if contents is not None and not _same(_contents(value), contents):
            value.clear()
            (value.update if isinstance(value, dict) else value.extend)(
                contents if isinstance(value, dict) else [item for _, item in contents]
            )
