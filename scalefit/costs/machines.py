"""Accelerators by the hour: compute into accelerator-hours, days and money, and back."""

import re
from dataclasses import dataclass, replace
from typing import Any, Self

from scalefit._registry import lookup
from scalefit.errors import OptionError
from scalefit.units import is_quantity, parse_quantity

HOUR = 3600.0
PLAUSIBLE_PEAK = (1e9, 1e18)  # FLOP/s of one device
_SPEC = re.compile(r"\s*(?:([\d.,_]+k?)\s*(?:[x×*]\s*|\s))?\s*([a-z][\w -]*|[\d.]+e\d+)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Accelerator:
    """One device.

    Parameters
    ----------
    name
        What it is called.
    peak
        Dense (not sparse) bf16 FLOP/s.
    source
        Where its vendor states the peak.
    """

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
    """Look up a device.

    Parameters
    ----------
    name
        A name of `ACCELERATORS`, whatever its case and hyphens, or a peak in FLOP/s such as "989e12".

    Returns
    -------
    Accelerator
        The device of that name or peak.

    Raises
    ------
    OptionError
        The name is unknown, or the peak is implausible; the sentence suggests names or lists the table.
    """
    peak = parse_quantity(name) if is_quantity(name) else 0.0
    if PLAUSIBLE_PEAK[0] < peak < PLAUSIBLE_PEAK[1]:
        return Accelerator(f"{peak / 1e12:g} TFLOP/s accelerator", peak, "given by its peak")
    known = {device.name: device for device in ACCELERATORS}
    return lookup(name, known, "accelerator", loose=True, remedy="give its peak FLOP/s, as in 989e12")


@dataclass(frozen=True)
class Machines:
    """What a run is computed on. The defaults are assumptions, to be replaced by the reader's own.

    Parameters
    ----------
    accelerator
        The device.
    count
        Number of devices.
    mfu
        Model FLOP utilisation: the share of the peak that reaches the model's own FLOP.
    price
        Money for one device for one hour.

    Raises
    ------
    OptionError
        A number is out of range.
    """

    accelerator: Accelerator = ACCELERATORS[1]
    count: float = 1024
    mfu: float = 0.4
    price: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.mfu <= 1:
            raise OptionError(f"an MFU of {self.mfu:g} is out of range. Give a share of the peak, as in 40%.")
        if not self.count > 0:
            raise OptionError(f"{self.count:g} devices are out of range. Give a positive number of devices.")
        if not self.price > 0:
            raise OptionError(f"a price of {self.price:g} an hour is out of range. Give a positive price.")

    @classmethod
    def read(cls, spec: str | None = None, mfu: Any = None, price: Any = None) -> Self:
        """Read machines as people write them; what is not given stays at its default.

        Parameters
        ----------
        spec
            "512 H100", "TPU-v5p" or "64 x 400e12".
        mfu
            0.4 or "40%".
        price
            2 or "$2", for one device for one hour.

        Returns
        -------
        Machines
            The machines.

        Raises
        ------
        OptionError
            A text cannot be read, or a number is out of range.
        """
        machines = cls() if spec is None else cls().with_devices(spec)
        if mfu is not None:
            machines = replace(machines, mfu=parse_share(mfu))
        return machines if price is None else replace(machines, price=parse_money(price))

    def with_devices(self, spec: str) -> Self:
        """The same MFU and price on other devices.

        Parameters
        ----------
        spec
            "512 H100", "TPU-v5p" or "64 x 400e12"; without a number, as many devices as before.

        Returns
        -------
        Machines
            The machines.

        Raises
        ------
        OptionError
            The text cannot be read.
        """
        found = _SPEC.fullmatch(spec)
        if found is None:
            raise OptionError(f"{spec!r} names no accelerators. Write it like H100, 512 H100 or 64 x 400e12.")
        count = self.count if found[1] is None else parse_quantity(found[1])
        return replace(self, accelerator=find_accelerator(found[2].strip()), count=count)

    def hours(self, flops: Any) -> Any:
        """Accelerator-hours for compute.

        Parameters
        ----------
        flops
            The model's own FLOP; a float or an array.

        Returns
        -------
        float or array
            Hours of one device, elementwise.
        """
        return flops / (self.accelerator.peak * self.mfu * HOUR)

    def days(self, flops: Any) -> Any:
        """Days for compute on all devices.

        Parameters
        ----------
        flops
            The model's own FLOP; a float or an array.

        Returns
        -------
        float or array
            Days, elementwise.
        """
        return self.hours(flops) / self.count / 24

    def money(self, flops: Any) -> Any:
        """Money for compute.

        Parameters
        ----------
        flops
            The model's own FLOP; a float or an array.

        Returns
        -------
        float or array
            Money in the currency of the price, elementwise.
        """
        return self.hours(flops) * self.price

    @property
    def price_per_flop(self) -> float:
        """Money for one FLOP."""
        return float(self.money(1.0))

    def flops(self, days: float) -> float:
        """Compute of all devices.

        Parameters
        ----------
        days
            How long they compute.

        Returns
        -------
        float
            The model's own FLOP.
        """
        return days / float(self.days(1.0))

    def describe(self) -> str:
        """The machines in words: "1,024 H100 at 40% MFU, $2 an hour each"."""
        return f"{self.count:,.0f} {self.accelerator.name} at {100 * self.mfu:g}% MFU, ${self.price:g} an hour each"


def parse_share(value: Any) -> float:
    """Read a share.

    Parameters
    ----------
    value
        0.4, "0.4" or "40%".

    Returns
    -------
    float
        The share.

    Raises
    ------
    OptionError
        The value is not a share.
    """
    text = str(value).strip()
    return parse_quantity(text[:-1]) / 100 if text.endswith("%") else parse_quantity(text)


def parse_money(value: Any) -> float:
    """Read an amount of money.

    Parameters
    ----------
    value
        2e6, "2M" or "$2M".

    Returns
    -------
    float
        The amount.

    Raises
    ------
    OptionError
        The value is not an amount of money.
    """
    return parse_quantity(re.sub(r"^\s*(?:US)?\$|\$\s*$", "", str(value)))
