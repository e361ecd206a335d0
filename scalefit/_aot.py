"""A jit that is compiled quickly and lowered once on a machine: ahead of time for every later process.

Why not `jax.jit(static_argnames=...)`: JAX's compilation cache saves compiling, but every process traces and lowers a
program again before it can be looked up, which for a fit takes longer than all the rest. Where that cache is in use,
the lowered program is kept beside it, as `jax.export` writes it, under a digest of all that it depends on: the
function, its static arguments, shapes and dtypes, JAX's configuration, versions, and the source of this package.
A file whose content does not match its own digest is made again, and a folder that others can write is not used.

SCALEFIT_AOT_CACHE=0 in the environment turns these files off, for one call of a program or for all; JAX's own cache
stays. Programs for a device other than the default one, and those with a law of the user's own, are never kept.
"""

import hashlib
import inspect
import os
import warnings
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from functools import lru_cache, update_wrapper
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

import jax
import numpy as np
from jax import export

from scalefit._program_files import guard_jax_cache, guarded, read_program, why_unsafe, write_program

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
# Of XLA on CPU: they halve compilation, and the programs run as fast. Each JAX knows some of them.
FAST_COMPILE = {
    "xla_backend_optimization_level": 1,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}
CONFIG_IN_KEY = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_threefry_partitionable",
    "jax_default_prng_impl",
    "jax_default_device",
)
SWITCH = "SCALEFIT_AOT_CACHE"  # of the environment: "0" keeps no lowered programs and reads none


def cached_jit(*static: str) -> Callable[[Callable[P, R]], "CachedJit[P, R]"]:
    """Decorate a pure function, to be compiled once for each value of its static arguments and shapes of the others.

    Parameters
    ----------
    *static
        Names of hashable arguments. The others are trees of arrays; the result is an array, or dicts and tuples of
        them.

    Returns
    -------
    Callable
        The decorator. Inside another program a decorated function is a part of that one.
    """
    return lambda f: CachedJit(f, static)


class CachedJit(Generic[P, R]):
    """A function that `cached_jit` decorates.

    Parameters
    ----------
    f
        The function itself.
    static
        Names of its static arguments.
    """

    def __init__(self, f: Callable[P, R], static: tuple[str, ...]) -> None:
        self.f, self.static, self.signature = f, static, inspect.signature(f)
        update_wrapper(self, f)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compile for these shapes, unless that is done, and call."""
        options, leaves, tree = self._split_arguments(args, kwargs)
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return self.f(**dict(options), **jax.tree.unflatten(tree, leaves))  # type: ignore[call-arg]
        leaves = [leaf if isinstance(leaf, jax.Array) else jax.numpy.asarray(leaf) for leaf in leaves]
        return _compiled(self.f, options, tree, _shapes(leaves), _config_key())(leaves)

    def prepare(self, *args: Any, **kwargs: Any) -> None:
        """Compile for arrays of these shapes and dtypes, so that the call need not wait for it."""
        options, leaves, tree = self._split_arguments(args, kwargs)
        _prepared(self.f, options, tree, _shapes(leaves), _config_key())

    def _split_arguments(self, args: tuple, kwargs: dict) -> tuple[tuple, list, Any]:
        """Static arguments by name; the leaves of the others, and their tree."""
        given = self.signature.bind(*args, **kwargs).arguments
        options = tuple((name, given.pop(name)) for name in self.static)
        return options, *jax.tree.flatten(given)


def on_host(tree: T) -> T:
    """A program's result as NumPy arrays: JAX's are bound to a device, for which the next program would be another."""
    return jax.tree.map(np.asarray, tree)


def _shapes(leaves: list) -> tuple:
    return tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)


@lru_cache(maxsize=256)
def _prepared(f: Callable, options: tuple, tree: Any, shapes: tuple, config: Hashable) -> None:
    # For shapes alone JAX would compile another program.
    leaves = [jax.device_put(np.zeros(leaf.shape, leaf.dtype)) for leaf in shapes]
    _compiled(f, options, tree, shapes, config).lower(leaves).compile()


@lru_cache(maxsize=256)
def _compiled(f: Callable, options: tuple, tree: Any, shapes: tuple, config: Hashable) -> Any:
    """The program from the arguments' leaves to the result."""

    def on_leaves(leaves: list) -> Any:
        return f(**dict(options), **jax.tree.unflatten(tree, leaves))

    path = _cache_path(f, options, tree, (shapes, config))
    lowered = path and (_read(path) or _write(path, on_leaves, shapes))
    return jax.jit(lowered.call if lowered else on_leaves, compiler_options=fast_compile_options(jax.default_backend()))


def forget_programs() -> None:
    """Drop every compiled program of this process, so that the next call compiles again: for benchmarks."""
    _compiled.cache_clear()
    _prepared.cache_clear()
    jax.clear_caches()


def _config_key() -> tuple:
    """What a program depends on besides its arguments."""
    return (jax.default_backend(), *(getattr(jax.config, name) for name in CONFIG_IN_KEY))


@lru_cache
def fast_compile_options(platform: str) -> dict[str, Any]:
    """Those of `FAST_COMPILE` that this JAX accepts, on CPU; none elsewhere."""
    if platform != "cpu":
        return {}
    if _accepted(FAST_COMPILE):
        return FAST_COMPILE
    return {name: value for name, value in FAST_COMPILE.items() if _accepted({name: value})}


def _accepted(options: dict[str, Any]) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def _cache_path(f: Callable, options: tuple, tree: Any, others: tuple) -> Path | None:
    """The file of a lowered program; None where there is no local folder, or no key that names all it depends on."""
    folder = jax.config.values["jax_compilation_cache_dir"]
    if os.environ.get(SWITCH) == "0" or not folder or "://" in folder or not _is_safe(folder):
        return None
    if not (_has_stable_repr(options) and _tree_has_stable_repr(tree)):
        return None
    if jax.config.jax_default_device is not None:  # type: ignore[attr-defined]
        return None  # it would be lowered for the default backend, whichever device is asked for
    key = (f.__module__, f.__qualname__, options, tree, others, versions(), _source())
    return Path(folder) / f"{f.__name__}-{hashlib.sha256(repr(key).encode()).hexdigest()}-lowered"


def _has_stable_repr(value: Any) -> bool:
    """Whether equal reprs are equal values in every process: not with functions inside, or classes from elsewhere."""
    if isinstance(value, tuple | list):
        return all(map(_has_stable_repr, value))
    if is_dataclass(value):
        ours = type(value).__module__.partition(".")[0] == __package__
        return ours and all(_has_stable_repr(getattr(value, field.name)) for field in fields(value))
    return value is None or isinstance(value, str | int | float)


def _tree_has_stable_repr(tree: Any) -> bool:
    """The same of the static fields of a tree of arrays."""
    _, fields_beside_arrays = tree.node_data() or (None, None)
    return _has_stable_repr(fields_beside_arrays) and all(map(_tree_has_stable_repr, tree.children()))


_version = lru_cache(version)  # reads a file each time


def versions() -> dict[str, str]:
    """Versions of scalefit and of what computes its numbers."""
    return {name: _version(name) for name in ("scalefit", "jax", "jaxlib", "numpyro", "blackjax", "numpy")}


@lru_cache
def _source() -> str:
    """A digest of this package, so that no program outlives the code it was made from."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@lru_cache
def _is_safe(folder: str) -> bool:
    """Whether no one else can write a folder; a warning says so once where others can."""
    if problem := why_unsafe(folder):
        warnings.warn(problem, stacklevel=2)
    return not problem


def _read(path: Path) -> export.Exported | None:
    try:
        content = read_program(path)
        return export.deserialize(bytearray(content)) if content else None
    except Exception:  # of another JAX than its version says: flatbuffers raises anything
        return None


def _write(path: Path, on_leaves: Callable, shapes: tuple) -> export.Exported | None:
    """Lower a program and keep it; None where JAX cannot store what is in it."""
    try:
        lowered = export.export(jax.jit(on_leaves))(list(shapes))
        content = lowered.serialize()
    except ValueError:
        return None
    write_program(path, bytes(content))
    return lowered


if guarded:
    guard_jax_cache()
