"""The Typer applications, and how they end: one sentence on standard error instead of a traceback."""

import contextlib
import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from scalefit import _interrupt, _program_files
from scalefit.cli._streams import OutputError, standard_streams
from scalefit.errors import DataWarning, FitWarning, ScalefitError, shortened

USAGE_ERROR: Any = typer.BadParameter.__base__  # Typer exports it under no name of its own
LONGEST = 100  # letters of a path in a message
ORDER = (
    "fit", "fit-many", "merge", "predict", "plan", "next", "target", "lifetime", "audit", "frontier", "compare",
    "report", "register", "score", "backtest", "learn-discrepancy", "downstream", "count", "data", "laws",
    "devices", "schema",
)  # fmt: skip


class Ordered(TyperGroup):
    """A group that lists its commands in `ORDER`: Typer alone would put groups last."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands."""
        return sorted(self.commands, key=ORDER.index)


SETTINGS: dict[str, Any] = {"no_args_is_help": True, "pretty_exceptions_enable": False, "rich_markup_mode": None}
app = typer.Typer(name="scalefit", cls=Ordered, **SETTINGS)
compare = typer.Typer(help="Compare runs, recipes, laws or methods.", **SETTINGS)
app.add_typer(compare, name="compare")


def _print_version(asked: bool) -> bool:
    from scalefit import __version__

    if asked:
        print(f"scalefit {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def scalefit(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Bayesian scaling laws: how big the model, how much data, what loss, and how wrong that could be."""


def main() -> None:
    """Run the command line and end the process with its exit status."""
    _interrupt.written.clear()
    warnings.showwarning = _show_warning
    with standard_streams():
        use_compilation_cache()
        sys.exit(_run())


def _run() -> int:
    """The exit status, after the sentence that explains it where it is not 0 or 1."""
    try:
        if sys.stdout is None:
            return _stop("standard output is closed. Redirect it to a file, or to /dev/null.")
        status = app(standalone_mode=False, prog_name="scalefit") or 0
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        status = _interrupt.INTERRUPTED
    except Exception as problem:
        if os.environ.get("SCALEFIT_TRACEBACK"):
            raise
        if _is_help(problem):
            print(problem)
            return 0
        return _stop(_sentence(problem))
    if status == _interrupt.INTERRUPTED:
        print(_interrupt.interrupted_sentence(), file=sys.stderr)
    return status


def _stop(sentence: str) -> int:
    print(f"scalefit: {shortened(sentence)}", file=sys.stderr)
    return 2


def _sentence(problem: Exception) -> str:
    """What went wrong and what to do, on one line."""
    if isinstance(problem, ScalefitError):
        return " ".join(str(problem).splitlines())
    if isinstance(problem, USAGE_ERROR):
        return _usage_sentence(problem)
    if isinstance(problem, OutputError):
        return f"cannot write to standard output: {problem}. Redirect it elsewhere."
    if isinstance(problem, OSError):
        where = os.curdir if problem.filename is None else shorten(str(problem.filename))
        return f"cannot use {where}: {problem.strerror or problem}. Choose another path."
    if _without_devices():
        platforms = os.environ["JAX_PLATFORMS"]
        return f"JAX cannot start JAX_PLATFORMS={platforms} on this machine. Unset it, or name a platform that is here."
    what = f"{type(problem).__name__}: {problem}".splitlines()[0]
    return f"unexpected {what}. Please report it, with the traceback that SCALEFIT_TRACEBACK=1 shows."


def _is_help(problem: Any) -> bool:
    """Whether a group was called without a command, which Typer counts among the failures."""
    return isinstance(problem, USAGE_ERROR) and bool(problem.ctx) and problem.ctx.get_help() == problem.format_message()


def _usage_sentence(problem: Any) -> str:
    message = " ".join(problem.format_message().split()).replace("Value error, ", "").rstrip(".")
    command = problem.ctx.command_path if problem.ctx else "scalefit"
    end = "" if message.endswith("?") else "."
    return f"{message[0].lower()}{message[1:]}{end} See `{command} --help`."


def _without_devices() -> bool:
    """Whether this machine lacks the platforms that JAX is set to use."""
    if not os.environ.get("JAX_PLATFORMS") or "jax" not in sys.modules:
        return False
    import jax

    try:
        return not jax.local_devices()
    except Exception:  # a plugin raises anything where its driver is missing
        return True


def shorten(text: str) -> str:
    """A text for a message: its beginning where it is long."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def use_compilation_cache() -> None:
    """Keep compiled programs between calls: compilation is most of a single fit. The user's own setting wins."""
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder = os.path.join(home, "scalefit")
        with contextlib.suppress(OSError):
            os.makedirs(folder, mode=0o700, exist_ok=True)
    _program_files.guarded.append(True)
    if problem := _program_files.why_unsafe(os.environ["JAX_COMPILATION_CACHE_DIR"]):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = ""
        print(f"note: {problem}", file=sys.stderr)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, DataWarning | FitWarning):
        print(f"note: {message}", file=sys.stderr)
