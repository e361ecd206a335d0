"""Abstract or final: a method is either declared by a contract or written once, never overridden."""

import inspect
from abc import ABC, abstractmethod
from functools import cached_property
from importlib import import_module
from pkgutil import walk_packages

import pytest

import scalefit

METHODS = (classmethod, staticmethod, property, cached_property)


def classes():
    """Every class that a module of the package defines."""
    for found in walk_packages(scalefit.__path__, "scalefit."):
        if found.name.endswith("__main__"):  # importing it runs the command line
            continue
        module = import_module(found.name)
        yield from (c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__)


def own_methods(cls) -> dict[str, object]:
    """What the body of a class defines, but dunders, which every class may have of its own."""
    return {
        name: value
        for name, value in vars(cls).items()
        if not name.startswith("__") and (inspect.isfunction(value) or isinstance(value, METHODS))
    }


def is_ours(cls) -> bool:
    return cls.__module__.partition(".")[0] in ("scalefit", __name__)


def overridden(cls) -> list[str]:
    """Concrete methods of a base that this class defines again."""
    return [
        f"{base.__name__}.{name}"
        for base in cls.__mro__[1:]
        if is_ours(base)
        for name, value in own_methods(base).items()
        if name in vars(cls) and not getattr(value, "__isabstractmethod__", False)
    ]


@pytest.mark.parametrize("cls", sorted(set(classes()), key=lambda c: c.__qualname__), ids=lambda c: c.__qualname__)
def test_no_concrete_method_is_overridden(cls):
    assert not overridden(cls)


class Contract(ABC):
    @abstractmethod
    def asked(self): ...

    @property
    @abstractmethod
    def unit(self): ...

    def shared(self):
        return self.asked()

    @cached_property
    def kept(self):
        return self.shared()


class Keeps(Contract):
    unit = "FLOP"

    def asked(self):
        return 1


class Breaks(Keeps):
    def asked(self):
        return 2

    def shared(self):
        return 3

    kept = 4


def test_the_test_sees_a_breach():
    assert overridden(Keeps) == []
    assert sorted(overridden(Breaks)) == ["Contract.kept", "Contract.shared", "Keeps.asked"]
