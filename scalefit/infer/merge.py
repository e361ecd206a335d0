"""One Parquet file of what many shards have computed: `merge`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from scalefit.errors import OptionError
from scalefit.infer._chunk_store import FolderStore
from scalefit.infer._rows import parquet_writer, rows_of, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "scalefit summary"
TOGETHER = 2**14  # rows of a row group, whatever the chunks


def merge(folder: str | Path, output: str | Path | None = None) -> Path:
    """Write the rows of all fits of a folder as one Parquet file, in the order of their tables.

    Parameters
    ----------
    folder
        One that `fit_many(..., folder=...)` filled, by any number of shards.
    output
        The file; `summary.parquet` in the folder by default. A file there is replaced.

    Returns
    -------
    pathlib.Path
        The file. Its bytes do not depend on shards and chunks.

    Raises
    ------
    StorageError
        Chunks are missing, whose number the message gives; a file is damaged; or the output cannot be written.

    Notes
    -----
    A row a table: table, name, runs, loss_unit, seed; median, lower_50, upper_50, lower_90, upper_90 of each parameter
    (sigma_cluster is null where runs share no error), of what the law derives and of the optimum at each budget;
    verdict of health and the checks that are not ok; pareto_k; ess, the least (without health, that of the weights);
    discrepancy_pareto_k; note; failure, null where there is a fit; fingerprint of the table. Memory does not grow with
    the tables.
    """
    store = FolderStore.of_folder(folder)
    path = Path(folder) / "summary.parquet" if output is None else Path(output)
    if path.is_dir():
        raise OptionError(f"{path} is a folder. Name a file.")
    about = {name: value for name, value in store.batch.attrs.items() if name not in ("chunk", "draws")}
    schema = schema_of(store.batch, about, format=FORMAT)
    with parquet_writer(path, schema) as writer:
        for table in _row_groups(store, schema):
            writer.write_table(table, row_group_size=TOGETHER)
    return path


def _row_groups(store: FolderStore, schema: "pa.Schema") -> Iterator["pa.Table"]:
    import pyarrow as pa

    waiting, count = [], 0
    for number in store.batch.chunks:
        waiting.append(_rows(store, number).replace_schema_metadata(schema.metadata))
        count += len(waiting[-1])
        while count >= TOGETHER:
            table = pa.concat_tables(waiting)
            yield table.slice(0, TOGETHER).combine_chunks()
            waiting, count = [table.slice(TOGETHER).combine_chunks()], count - TOGETHER
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def _rows(store: FolderStore, number: int) -> "pa.Table":
    """The rows of a chunk; made of its draws where a process ended between the two, or an older version wrote them."""
    if (found := store.rows(number)) is None:
        chunk = store.read(number)
        assert chunk is not None, "a folder's store holds every chunk"
        store.write_rows(number, rows_of(store.batch, chunk))
        found = store.rows(number)
    assert found is not None
    return found
