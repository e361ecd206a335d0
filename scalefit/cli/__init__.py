"""The command line: each command a few lines over the public API, in a file of its own.

Exit status: 0 done, 1 the fit's health verdict is "fail" (results are still written), 2 bad input or usage.
"""

from importlib import import_module

from scalefit.cli._app import app, main

# In the order in which `scalefit --help` lists them.
for _command in (
    *(
        "fit",
        "plan",
        "target",
        "lifetime",
        "audit",
        "compare_runs",
        "frontier",
        "compare_methods",
        "compare_laws",
        "backtest",
    ),
    *("learn_discrepancy", "count", "downstream", "devices", "data", "laws"),
):
    import_module(f"{__name__}.{_command}")

__all__ = ["app", "main"]
