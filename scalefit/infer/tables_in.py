"""Tables to fit, by name: the files of a folder or a pattern, or the parts of one table; read as they are asked for."""

import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalefit.errors import DataError, OptionError, listed, quoted
from scalefit.infer._chunk_store import BATCH_FILE
from scalefit.io.join import one_table
from scalefit.io.read import read_runs
from scalefit.io.sources import ENDINGS, NO_TABLES, is_table, open_table
from scalefit.runs import Runs

if TYPE_CHECKING:
    import pandas as pd

ROLES = ("params", "tokens", "flops", "loss")


class TablesIn(Mapping):  # not Mapping[str, Runs]: whoever checks that reads one, which may be no table
    """Tables by name, in order of their names; each is read when it is asked for.

    Parameters
    ----------
    sources
        Name -> a path, or the rows of `whole`.
    options
        Of `read_runs`.
    whole
        The table that they are parts of.
    """

    def __init__(self, sources: Mapping[str, Any], options: Mapping[str, Any], whole: "pd.DataFrame | None" = None):
        self.sources, self.options, self.whole = sources, options, whole

    def __getitem__(self, name: str) -> Runs:
        source = self.sources[name]
        if self.whole is not None:
            return read_runs(self.whole.iloc[source], name=name, **self.options)
        return read_runs(source, name=name, **self.options)

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)


def tables_in(source: Any, *, by: str | None = None, **options: Any) -> TablesIn:
    """The tables of a folder, of a pattern or, by a column, of one table, for `fit_many`.

    Parameters
    ----------
    source
        A folder of tables, each a file or a folder of its own; a pattern such as "sweeps/*.csv"; or, with `by`,
        anything that `read_runs` takes.
    by
        The column whose values tell the tables apart.
    **options
        As for `read_runs`, of every table: columns, format, history.

    Returns
    -------
    TablesIn
        A mapping from names, which are paths below the folder, or values of the column. A table that cannot be read
        raises when it is read, so that `fit_many` records it and goes on.

    Raises
    ------
    DataError
        No table is there, or the table has no such column.
    OptionError
        It is one table, and `by` is not given.
    """
    if by is not None:
        return _parts(source, by, options)
    path = Path(source)
    if path.is_dir():
        found = {each.name: each for each in path.iterdir() if _is_table_in_folder(each)}
    elif glob.has_magic(str(source)) and not path.exists():
        found = {name: Path(name) for name in glob.iglob(str(source), recursive=True)}
    elif path.exists():
        raise OptionError(f"{quoted(source)} is one table. Name the column that splits it with by= (--by), or fit it.")
    else:
        raise DataError(f"there is no folder {quoted(source, 200)}. Correct the path, or give a pattern in quotes.")
    if not found:
        raise DataError(f"{quoted(source, 200)} has no table in it. Give a folder of tables, or a pattern in quotes.")
    return TablesIn(dict(sorted(found.items())), options)


def _is_table_in_folder(path: Path) -> bool:
    """Whether a member of a folder is a table: a file by its ending; a folder of tables, not of fits."""
    if path.name.startswith(".") or path.name in NO_TABLES:
        return False
    if path.is_dir():
        return not (path / BATCH_FILE).exists() and is_table(path)
    return path.suffix.lower() in ENDINGS and path.suffix != ".txt"


def _parts(source: Any, by: str, options: Mapping[str, Any]) -> TablesIn:
    """The rows of one table that have the same value of a column."""
    options = dict(options)
    opened = open_table(source, options.pop("format", None))
    mapping = {name: options[name] for name in ROLES if options.get(name)}
    whole, _ = one_table(opened, mapping, options.get("history"))
    if by not in whole.columns:
        raise DataError(f"{opened.name} has no column {quoted(by)}, only {listed(whole.columns, 20)}. Correct --by.")
    if empty := int(whole[by].isna().sum()):
        raise DataError(f"{opened.name}: {empty} rows have no {quoted(by)}. Fill them, or leave these rows out.")
    rows = {str(value): places for value, places in whole.groupby(whole[by].astype(str)).indices.items()}
    return TablesIn(rows, options, whole)
