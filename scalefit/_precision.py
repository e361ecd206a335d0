"""Small numerical tools shared by every floor: precision, a root finder, intervals."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, TypeVar

import jax

from scalefit.errors import OptionError

T = TypeVar("T")
Precision = Literal["float32", "float64"]
_asked: ContextVar[Precision | None] = ContextVar("precision", default=None)


@contextmanager
def precision(kind: Precision | None = None) -> Iterator[None]:
    """The precision of everything computed inside: `with sf.precision("float32"): sf.fit(runs)`.

    By default float64 on CPU, and float32 on accelerators, where centred coordinates keep it exact enough. Matrices
    are multiplied in full, since accelerators otherwise use 10 bits or fewer, which whitened coordinates would feel.
    Raises `ScalefitError` on another kind.
    """
    if kind not in (None, "float32", "float64"):
        raise OptionError(f"precision is float32 or float64, not {kind!r}.")
    kind = kind or _asked.get()
    token = _asked.set(kind)
    try:
        with jax.enable_x64(precision_in_force() == "float64"), jax.default_matmul_precision("highest"):
            yield
    finally:
        _asked.reset(token)


@contextmanager
def meanwhile(f: Callable[[], object]) -> Iterator[None]:
    """Run `f` beside the block, in its precision; what it raises is raised when the block ends."""
    kind = precision_in_force()

    def run() -> None:
        with precision(kind):  # which each thread has its own of
            f()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        yield
        future.result()


def precision_in_force() -> Precision:
    """What is asked for, or what suits the device."""
    return _asked.get() or ("float64" if jax.default_backend() == "cpu" else "float32")
