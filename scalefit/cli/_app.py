"""The Typer application, and how it ends: one sentence on standard error instead of a traceback."""

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import typer

from scalefit.errors import DataWarning, FitWarning, ScalefitError

app = typer.Typer(
    name="scalefit",
    help="Bayesian scaling laws: how big the model, how much data, what loss, and how wrong that could be.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command line: one sentence on standard error instead of a traceback."""
    use_compilation_cache()
    warnings.showwarning = _show_warning
    try:
        app()
    except ScalefitError as problem:
        print(f"scalefit: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("scalefit: interrupted; nothing was written.", file=sys.stderr)
        sys.exit(130)
    except Exception as problem:
        if os.environ.get("SCALEFIT_TRACEBACK"):
            raise
        words = f"{type(problem).__name__}: {problem}".splitlines()[0]
        print(f"scalefit: unexpected {words}; please report it with SCALEFIT_TRACEBACK=1 set.", file=sys.stderr)
        sys.exit(2)


def use_compilation_cache() -> None:
    """Keep compiled programs between calls: compilation is most of a single fit. The user's own setting wins."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(home / "scalefit"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, DataWarning | FitWarning):
        print(f"note: {message}", file=sys.stderr)
