"""The `chinchilla` package from PyPI, through the interface its README documents: BFGS from every start of a grid."""

import os
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from shared import DELTA, Method, Outcome, Task, main

README_GRID = {
    "E": np.linspace(1, 2, 5),
    "a": np.linspace(1, 10, 5),
    "b": np.linspace(1, 10, 5),
    "alpha": np.linspace(0.1, 0.7, 5),
    "beta": np.linspace(0.1, 0.7, 5),
}
# Hoffmann et al. 2022, Approach 3; e, a, b are natural logarithms of E, A, B.
HOFFMANN_GRID = {
    "e": np.arange(-1, 1.5, 0.5),
    "a": np.arange(0, 30, 5.0),
    "b": np.arange(0, 30, 5.0),
    "alpha": np.arange(0, 2.5, 0.5),
    "beta": np.arange(0, 2.5, 0.5),
}


def fit(task: Task, grid: dict[str, np.ndarray], loss: str | None = None) -> Outcome:
    """`Chinchilla(folder, param_grid).fit()` on a folder that holds the table as df.csv."""
    os.environ["MPLBACKEND"] = "Agg"
    from chinchilla import Chinchilla, _metrics

    options = {} if loss is None else {"loss_fn": partial(getattr(_metrics, loss), delta=DELTA)}
    with tempfile.TemporaryDirectory() as folder:
        _write_table(task, Path(folder) / "df.csv")
        package = Chinchilla(folder, param_grid=grid, log_level=40, **options)
        task.done("setup")
        package.fit()
        task.done("run")
    return Outcome(package.params)


def _write_table(task: Task, path: Path) -> None:
    """The columns that the package asks for: C, N, D, loss."""
    n, d, loss = (np.exp(values) for values in (task.params, task.tokens, task.loss))
    np.savetxt(path, np.column_stack([6 * n * d, n, d, loss]), delimiter=",", header="C,N,D,loss", comments="")


METHODS = {
    "as its README": Method(
        "point",
        "the package's own objective, mean absolute error with over-prediction weighing ten times as much (a fit to "
        "the lower edge of the losses, not to their middle); BFGS in extended precision from the README's 3,125 starts",
        lambda task: fit(task, README_GRID),
    ),
    "log_huber": Method(
        "point",
        "the package's `log_huber` with delta 1e-3, averaged over runs as the package does; BFGS in extended "
        "precision from the 4,500 starts of Approach 3",
        lambda task: fit(task, HOFFMANN_GRID, "log_huber"),
    ),
}

if __name__ == "__main__":
    main(__file__, METHODS, ("chinchilla", "numpy", "scipy"))
