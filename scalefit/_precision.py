"""The precision that everything is computed in, and work beside other work."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, cast

import jax

from scalefit._blas import one_blas_thread
from scalefit.errors import OptionError

Precision = Literal["float32", "float64"]
_chosen: ContextVar[Precision | None] = ContextVar("precision", default=None)


@contextmanager
def precision(kind: str | None = None) -> Iterator[None]:
    """The precision of everything computed inside: `with sf.precision("float32"): sf.fit(runs)`.

    Matrices are multiplied in full: accelerators otherwise use 10 bits or fewer, too few for whitened coordinates. On
    the host they are multiplied by one thread.

    Parameters
    ----------
    kind
        "float32" or "float64". By default that of the block around, or else float64 on CPU and float32 on
        accelerators, where centred coordinates keep it exact enough.

    Raises
    ------
    OptionError
        There is no such precision.
    """
    if kind not in (None, "float32", "float64"):
        raise OptionError(f"precision is float32 or float64, not {kind!r}.")
    token = _chosen.set(cast(Precision | None, kind) or _chosen.get())
    try:
        wide = jax.enable_x64(precision_in_force() == "float64")
        with one_blas_thread(), wide, jax.default_matmul_precision("highest"):
            yield
    finally:
        _chosen.reset(token)


def precision_in_force() -> Precision:
    """The precision of the block around, or what suits the device."""
    return _chosen.get() or ("float64" if jax.default_backend() == "cpu" else "float32")


@contextmanager
def in_background(f: Callable[[], object]) -> Iterator[None]:
    """Call `f` in a thread while the block runs, in the block's precision; its error is raised when the block ends."""
    kind = precision_in_force()

    def run() -> None:
        with precision(kind):  # which each thread has its own of
            f()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        yield
        future.result()
