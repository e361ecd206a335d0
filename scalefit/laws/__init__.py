"""Scaling laws, one file each. Every module beside this one is imported, which registers the laws in it."""

from importlib import import_module
from pkgutil import iter_modules

from scalefit._registry import lookup
from scalefit.errors import OptionError
from scalefit.laws._law import Law, Published, find_law
from scalefit.laws._priors import Param, Prior, SameAs, Values, as_prior, called, nats, stored_prior
from scalefit.laws._space import ParamSpace

for _module in iter_modules(__path__):
    if not _module.name.startswith("_"):
        import_module(f"{__name__}.{_module.name}")

from scalefit.laws.function import FunctionLaw  # noqa: E402, after the registry is full

__all__ = [
    "FunctionLaw", "Law", "Param", "ParamSpace", "Prior", "Published", "SameAs", "Values", "as_prior", "called",
    "find_law", "nats", "stored_prior",
]  # fmt: skip


def __getattr__(name: str) -> type[Law]:
    """`sf.laws.Chinchilla` and every other registered law, by its class name."""
    try:
        return lookup(name, {law.__name__: law for law in Law.registry.values()}, "law")
    except OptionError as unknown:
        raise AttributeError(str(unknown)) from None


def __dir__() -> list[str]:
    return sorted([*__all__, *(law.__name__ for law in Law.registry.values())])
