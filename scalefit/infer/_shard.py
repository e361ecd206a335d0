"""Shards: which chunks of a batch one of several processes computes, none of which knows of the others."""

import re
from dataclasses import dataclass
from typing import Self

from scalefit.errors import OptionError, quoted


@dataclass(frozen=True)
class Shard:
    """One of `count` shards, counted from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def read(cls, text: str | None) -> Self:
        """The shard "3/64"; the only one where None.

        Raises
        ------
        OptionError
            It is no shard.
        """
        if text is None:
            return cls()
        found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", str(text), re.ASCII)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise OptionError(
                f"the shard {quoted(text)} is not k/n with k from 1 to n. Give one as in 3/64, and count array tasks "
                "from 1 to 64."
            )
        return cls(int(found[1]), int(found[2]))

    def of(self, numbers: range) -> range:
        """Its own of all chunks: every `count`-th, so that shards take equally long where tables grow."""
        return numbers[self.number - 1 :: self.count]

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
