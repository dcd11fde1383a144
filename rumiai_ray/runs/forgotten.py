"""What a commit record says of a forgetting: which rows were taken out of the run, without a word that names them.

Entries, videos and inputs are kept as digests. A person who knows a name can show that it was forgotten; the record tells the name to
nobody else. The run's id is part of each digest, so that the records of two runs cannot be matched with each other.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rumiai_ray.runs.datafile import PART, TABLE_NAME, DataFile

DigestOf = Literal["selector", "entry", "video", "input"]
SelectorKind = Literal["video", "author"]


def digest_of(run_id: str, what: DigestOf, text: str) -> str:
    """The digest that stands for a text in the records of a run."""
    return hashlib.sha256(f"{run_id}\n{what}\n{text}".encode(errors="surrogatepass")).hexdigest()


class ReplacedFile(BaseModel):
    """A data file that held forgotten rows, and the file with the rows that are left."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    old: str = Field(pattern=rf"^{TABLE_NAME}/{PART}$")
    new: DataFile

    @model_validator(mode="after")
    def _of_one_table(self) -> Self:
        if self.old.partition("/")[0] != self.new.table:
            raise ValueError(f"{self.old} is replaced by a file of another table, {self.new.table}")
        return self


class Forgotten(BaseModel):
    """One forgetting. The record that holds it says when."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: SelectorKind
    selector: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of what was asked for: a video's key, or an author's name as `corpus forget` compares names."""
    rows: dict[str, int] = {}
    """How many rows were taken out, by table."""
    entries: tuple[str, ...] = ()
    """Digests of the ids of the entries that were taken out, also of those that were not analysed yet."""
    videos: tuple[str, ...] = ()
    """Digests of the keys of the videos whose rows were taken out."""
    inputs: tuple[str, ...] = ()
    """Digests of the inputs of these entries, and of what the command line calls them where it names a folder or a pattern."""
    replaced: tuple[ReplacedFile, ...] = ()

    @cached_property
    def names(self) -> Mapping[DigestOf, frozenset[str]]:
        """The digests by what they are of."""
        return {"entry": frozenset(self.entries), "video": frozenset(self.videos), "input": frozenset(self.inputs)}

    @cached_property
    def new_files(self) -> Mapping[str, DataFile]:
        """The files that are left, by the path of the file that each replaces."""
        return {file.old: file.new for file in self.replaced}


class ForgettingRecord(Protocol):
    """What is needed of a commit record, whose module needs this one."""

    @property
    def run_id(self) -> str: ...  # noqa: D102 -- as `CommitRecord`; so is the other
    @property
    def forgotten(self) -> Forgotten | None: ...  # noqa: D102


class Remembered:
    """Answers whether a text was forgotten by any of several forgettings of one run.

    Args:
        run_id: the run.
        acts: its forgettings.
    """

    def __init__(self, run_id: str, acts: Iterable[Forgotten]) -> None:
        self._run_id = run_id
        self._names: dict[str, frozenset[str]] = {}
        for act in acts:
            for what, digests in act.names.items():
                self._names[what] = self._names.get(what, frozenset()) | digests

    @classmethod
    def of(cls, records: Sequence[ForgettingRecord]) -> Self:
        """What some of a run's records forget; `Log.forgettings` are all that do."""
        return cls(records[0].run_id if records else "", [record.forgotten for record in records if record.forgotten is not None])

    def __contains__(self, what_and_text: tuple[DigestOf, str | None]) -> bool:
        what, text = what_and_text
        digests = self._names.get(what)
        return bool(digests) and text is not None and digest_of(self._run_id, what, text) in (digests or ())
