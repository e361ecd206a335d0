"""What the processes of a `jax.distributed` cluster tell each other about a batch."""

import jax
import numpy as np
from jaxtyping import UInt8

from scalefit.errors import FitError
from scalefit.infer._chunk import Chunk
from scalefit.infer._chunk_store import ChunkStore, FolderStore

PIECE = 1 << 20  # sizes in bytes may leave the 32 bits that whole numbers have in float32


def agree(failed: Exception | None) -> None:
    """Raise what went wrong here, or that something did elsewhere: a cluster would wait for a process that left.

    Parameters
    ----------
    failed
        What this process raised.

    Raises
    ------
    Exception
        `failed` itself; or a FitError that names the first process that failed.
    """
    if jax.process_count() > 1:
        from jax.experimental.multihost_utils import process_allgather

        everywhere = np.asarray(process_allgather(np.asarray(failed is not None))).reshape(-1)
        if everywhere.any() and failed is None:
            raise FitError(f"process {everywhere.argmax()} of the cluster failed. Read its error, and call again.")
    if failed:
        raise failed


def share(store: ChunkStore, numbers: range) -> None:
    """Let every process of a cluster have every chunk.

    Parameters
    ----------
    store
        Of this process, with the chunks that it computed.
    numbers
        Of all chunks.
    """
    if jax.process_count() == 1:
        return
    from jax.experimental import multihost_utils

    if isinstance(store, FolderStore):
        multihost_utils.sync_global_devices("scalefit chunks are written")
        return
    for first in range(0, len(numbers), jax.process_count()):
        own = first + jax.process_index()
        chunk = store.read(own)
        content = np.frombuffer(chunk.to_bytes() if chunk else b"", np.uint8)
        for number, received in enumerate(_exchange(content), start=first):
            if received.size:
                store.write(number, Chunk.from_bytes(received.tobytes()))


def _exchange(content: UInt8[np.ndarray, " byte"]) -> list[UInt8[np.ndarray, " bytes"]]:
    """Every process's bytes, in order of the processes."""
    from jax.experimental.multihost_utils import process_allgather

    own = np.asarray(divmod(len(content), PIECE), np.int32)
    sizes = np.asarray(process_allgather(own), np.int64).reshape(-1, 2) @ np.array([PIECE, 1])
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: len(content)] = content
    gathered = np.asarray(process_allgather(padded)).reshape(len(sizes), -1)
    return [row[:size] for row, size in zip(gathered, sizes, strict=True)]
