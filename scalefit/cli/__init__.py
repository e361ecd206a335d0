"""The command line: each command a few lines over the public API, in a file of its own.

Exit status: 0 done, 1 the health verdict of a fit is "fail" (results are still written), 2 bad input or usage.
"""

from importlib import import_module

from scalefit.cli._app import app, main

COMMANDS = (
    "fit", "fit_many", "merge", "predict", "plan", "next", "target", "lifetime", "audit", "frontier", "compare_runs",
    "compare_recipes", "compare_laws", "compare_methods", "report", "register", "score", "backtest",
    "learn_discrepancy", "downstream",
    "count", "data", "laws", "devices", "schema",
)  # fmt: skip
for _command in COMMANDS:
    import_module(f"{__name__}.{_command}")

__all__ = ["app", "main"]
