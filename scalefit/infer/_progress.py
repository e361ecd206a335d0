"""A progress bar on a terminal, silence elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_report(label: str, show: bool | None = None) -> Iterator[Callable[[int, int], None]]:
    """A function (steps done, steps in all) that moves a bar on standard error while the context lasts."""
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{label}: compiling", total=None)
        yield lambda done, total: bar.update(task, description=label, completed=done, total=total)
