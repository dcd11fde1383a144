"""Shards: the parts of one run's entries, each of which has a driver of its own.

Which shard an entry is in follows from its input alone, so that every driver agrees on it without a word, and the same input given twice
is in one shard. Each shard has its own commit records (`commits.py`); a run has ended when all of its shards have.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from rumiai_ray.errors import ConfigError

MOST_SHARDS = 1000
"""A run's directory may be a stranger's: what reads it lists a directory for each shard."""
_GIVEN = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


@dataclass(frozen=True)
class Shard:
    """One part of a run's entries."""

    number: int
    """From 1 to `of`."""
    of: int
    """Into how many parts the run's entries are divided."""

    @classmethod
    def given(cls, text: str) -> Self:
        """The shard that a command line names, `2/4`.

        Raises:
            ConfigError: it names none.
        """
        found = _GIVEN.fullmatch(text.strip())
        if found is None or not 1 <= int(found[1]) <= int(found[2]) <= MOST_SHARDS or int(found[2]) == 1:
            raise ConfigError("names no shard", f"--shard {text!r}", f"write which one of how many, `2/4`; of 2 to {MOST_SHARDS}")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def name(self) -> str:
        """What its directory and its files are called after."""
        return f"{self.number:04d}"

    @classmethod
    def holding(cls, source: str, of: int) -> Self:
        """The shard with the entries of an input. Must never change: a resumed driver would take other entries for its own."""
        digest = hashlib.sha256(source.encode(errors="surrogatepass")).digest()
        return cls(int.from_bytes(digest[:8], "big") % of + 1, of)

    def has(self, source: str) -> bool:
        """Whether an entry with this input is in it."""
        return self == type(self).holding(source, self.of)
