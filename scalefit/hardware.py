"""What will be computed on, and in which precision."""

import os
from dataclasses import dataclass, fields

import jax

from scalefit._aot import fast_compile_options, forget_programs
from scalefit._precision import precision_in_force
from scalefit._results import PROB, Result
from scalefit._tables import Table

__all__ = ["Devices", "devices", "fast_compile_options", "forget_programs"]


@dataclass(frozen=True, repr=False)
class Devices(Result):
    """The devices that fits are spread over.

    Parameters
    ----------
    platform
        "cpu", "gpu" or "tpu".
    kind
        The maker's name of a device; of a CPU, its number of cores.
    local
        Number of devices of this process.
    total
        Number of devices of all processes of the cluster.
    processes
        Number of processes of the cluster.
    process
        Index of this process.
    memory
        Bytes of one device, None where the device does not report them.
    precision
        "float32" or "float64", the precision of fits.
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

    def headline(self, prob: float = PROB) -> str:
        """The devices and the precision."""
        return f"Fits run on {self}."

    def _table(self, prob: float) -> Table:
        names = [field.name for field in fields(self)]
        return Table("setting", names, {"value": [str(getattr(self, name)) for name in names]})


def devices() -> Devices:
    """The devices that `fit` and `fit_many` use, as JAX sees them now."""
    local = jax.local_devices()
    first = local[0]
    return Devices(
        platform=first.platform,
        kind=f"{os.cpu_count()} cores" if first.platform == "cpu" else first.device_kind,
        local=len(local),
        total=jax.device_count(),
        processes=jax.process_count(),
        process=jax.process_index(),
        memory=(first.memory_stats() or {}).get("bytes_limit"),
        precision=precision_in_force(),
    )
