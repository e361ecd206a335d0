"""What will be computed on, and in which precision."""

import os
from dataclasses import dataclass

import jax

from scalefit._precision import precision_in_force


@dataclass(frozen=True)
class Devices:
    """The devices that fits are spread over.

    platform : "cpu", "gpu" or "tpu"; kind : the maker's name. local, total : devices of this process, and of all
    processes of a cluster. processes, process : how many there are, and which this is. memory : bytes of one device,
    None where it does not say. precision : of the numbers.
    """

    platform: str
    kind: str
    local: int
    total: int
    processes: int
    process: int
    memory: int | None
    precision: str

    def __str__(self) -> str:
        many = f"{self.local} {self.platform} device{'s' if self.local > 1 else ''} ({self.kind})"
        cluster = f", process {self.process} of {self.processes} with {self.total} in all" if self.processes > 1 else ""
        memory = "" if self.memory is None else f", {self.memory / 2**30:.0f} GiB each"
        return f"{many}{memory}{cluster}; {self.precision}"


def devices() -> Devices:
    """What `fit` and `fit_many` will use, as JAX sees it now."""
    local = jax.local_devices()
    first = local[0]
    kind = f"{os.cpu_count()} cores" if first.platform == "cpu" else first.device_kind
    memory = (first.memory_stats() or {}).get("bytes_limit")
    return Devices(
        first.platform, kind, len(local), jax.device_count(), jax.process_count(), jax.process_index(), memory,
        precision_in_force(),
    )  # fmt: skip
