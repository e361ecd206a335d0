"""Accelerators by the hour: compute into accelerator-hours, days and money, and back."""

import re
from dataclasses import dataclass, replace
from typing import Any, Self

from scalefit._registry import lookup
from scalefit.errors import DataError
from scalefit.units import parse_quantity

HOUR = 3600.0


@dataclass(frozen=True)
class Accelerator:
    """One device. peak : dense (not sparse) bf16 FLOP/s, as its vendor states it in `source`."""

    name: str
    peak: float
    source: str


# Dense bf16 peaks. Where a datasheet prints the sparse figure only, half of it.
ACCELERATORS = (
    Accelerator("A100", 312e12, "NVIDIA A100 Tensor Core GPU datasheet"),
    Accelerator("H100", 989.4e12, "NVIDIA H100 Tensor Core GPU architecture paper, SXM5"),
    Accelerator("H100-PCIe", 756e12, "NVIDIA H100 Tensor Core GPU architecture paper, PCIe"),
    Accelerator("H200", 989.4e12, "NVIDIA H200 Tensor Core GPU datasheet, SXM: H100's compute"),
    Accelerator("B200", 2250e12, "NVIDIA DGX B200 datasheet, HGX B200: half of 4.5e15 with sparsity"),
    Accelerator("GB200", 2500e12, "NVIDIA GB200 NVL72 datasheet, per GPU: half of 5e15 with sparsity"),
    Accelerator("MI250X", 383e12, "AMD Instinct MI250X datasheet, both dies"),
    Accelerator("MI300X", 1307.4e12, "AMD Instinct MI300X datasheet"),
    Accelerator("TPU-v4", 275e12, "Google Cloud TPU v4 documentation, per chip"),
    Accelerator("TPU-v5e", 197e12, "Google Cloud TPU v5e documentation, per chip"),
    Accelerator("TPU-v5p", 459e12, "Google Cloud TPU v5p documentation, per chip"),
    Accelerator("TPU-v6e", 918e12, "Google Cloud TPU v6e documentation, per chip"),
)


def find_accelerator(name: str) -> Accelerator:
    """A device of the table by name, whatever its case and hyphens, or one given by its peak: "989e12" FLOP/s.

    Raises `OptionError` that suggests names or lists the table.
    """
    try:
        peak = parse_quantity(name)
    except DataError:
        peak = 0.0
    if 1e9 < peak < 1e18:
        return Accelerator(f"{peak / 1e12:g} TFLOP/s accelerator", peak, "given by its peak")
    known = {device.name: device for device in ACCELERATORS}
    return lookup(name, known, "accelerator", loose=True, remedy="give its peak FLOP/s, as in 989e12")


@dataclass(frozen=True)
class Machines:
    """What a run is computed on. count : devices; mfu : share of the peak that reaches the model's own FLOP;
    price : money for one device for one hour. The defaults are assumptions, to be replaced by the reader's own.

    Raises `DataError` where a number makes no sense.
    """

    accelerator: Accelerator = ACCELERATORS[1]
    count: float = 1024
    mfu: float = 0.4
    price: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.mfu <= 1:
            raise DataError(f"MFU is a share of the peak between 0 and 1, as in 40%; got {self.mfu:g}.")
        if not (self.count > 0 and self.price > 0):
            raise DataError(f"machines need a positive count and price; got {self.count:g} at {self.price:g} an hour.")

    @classmethod
    def read(cls, spec: str | None = None, mfu: Any = None, price: Any = None) -> Self:
        """From "512 H100", "TPU-v5p" or "64 x 400e12", an MFU as 0.4 or "40%", and a price as 2 or "$2"."""
        machines = cls() if spec is None else cls()._devices(spec)
        if mfu is not None:
            machines = replace(machines, mfu=parse_share(mfu))
        return machines if price is None else replace(machines, price=parse_money(price))

    def _devices(self, spec: str) -> Self:
        found = re.fullmatch(r"\s*(?:([\d.,_]+k?)\s*(?:[x×*]\s*|\s))?\s*([a-z][\w -]*|[\d.]+e\d+)\s*", spec, re.I)
        if found is None:
            raise DataError(f"cannot read {spec!r} as accelerators; write it like H100, 512 H100 or 64 x 400e12.")
        count = self.count if found[1] is None else parse_quantity(found[1])
        return replace(self, accelerator=find_accelerator(found[2].strip()), count=count)

    def hours(self, flops: Any) -> Any:
        """Accelerator-hours for `flops` of the model's own FLOP."""
        return flops / (self.accelerator.peak * self.mfu * HOUR)

    def days(self, flops: Any) -> Any:
        """Days on all of them."""
        return self.hours(flops) / self.count / 24

    def money(self, flops: Any) -> Any:
        """What that costs, in the currency of the price."""
        return self.hours(flops) * self.price

    @property
    def price_per_flop(self) -> float:
        """Money for one FLOP."""
        return float(self.money(1.0))

    def flops(self, days: float) -> float:
        """What they compute in so many days, FLOP."""
        return days / float(self.days(1.0))

    def describe(self) -> str:
        """In words: "1,024 H100 at 40% MFU, $2 an hour each"."""
        return f"{self.count:,.0f} {self.accelerator.name} at {100 * self.mfu:g}% MFU, ${self.price:g} an hour each"


def parse_share(value: Any) -> float:
    """A share from 0.4, "0.4" or "40%". Raises `DataError` on anything else."""
    text = str(value).strip()
    return parse_quantity(text[:-1]) / 100 if text.endswith("%") else parse_quantity(text)


def parse_money(value: Any) -> float:
    """An amount of money from 2e6, "2M" or "$2M". Raises `DataError` on anything else."""
    return parse_quantity(re.sub(r"^\s*(?:US)?\$|\$\s*$", "", str(value)))
