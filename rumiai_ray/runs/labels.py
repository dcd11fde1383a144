"""What people call a run: a name, tags and a note, in `labels.json` beside the manifest.

They say nothing of how the run was made: they are no part of its manifest and of its fingerprint, and may change at any time, also while
the run goes on. A run may be a stranger's, so the texts are cleaned when they are read as well.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.ingest.cleaning import cleaned
from rumiai_ray.runs.hold import WriterHold
from rumiai_ray.shown import terminal_safe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rumiai_ray.storage import Store

LABELS = "labels.json"

_LONGEST_LINE = 100
_LONGEST_NOTE = 10_000
_MOST_TAGS = 50
_RESERVED = {"", ".", "..", "latest"}
"""What stands for another run, or for no run, where a run is named."""
_NOT_IN_NAMES = re.compile(r"[/*?\[\]]")
"""What makes a path or a pattern of a name."""


def clean_line(text: str) -> str:
    """A name or a tag as it is kept: on one line, and without characters that a terminal would obey or no file can hold."""
    return " ".join(terminal_safe(cleaned(text, _LONGEST_LINE)).split())


def clean_note(text: str) -> str:
    """A note as it is kept: line breaks stay."""
    return terminal_safe(cleaned(text, _LONGEST_NOTE)).strip()


def _distinct(tags: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(tag for tag in map(clean_line, tags) if tag))
    if len(found) > _MOST_TAGS:
        raise ValueError(f"{len(found)} tags, a run has at most {_MOST_TAGS}")
    return found


class Labels(BaseModel):
    """The labels of one run."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, AfterValidator(clean_line)] = ""
    tags: Annotated[tuple[str, ...], AfterValidator(_distinct)] = ()
    note: Annotated[str, AfterValidator(clean_note)] = ""

    def __bool__(self) -> bool:
        return bool(self.name or self.tags or self.note)


def given_labels(name: str | None = None, tags: Iterable[str] = (), note: str | None = None) -> Labels:
    """The labels that somebody asks for.

    Raises:
        ConfigError: the name could be taken for a path, a pattern or `latest`; or there are too many tags.
    """
    wanted = clean_line(name or "")
    if name is not None and name.strip() and (wanted.casefold() in _RESERVED or _NOT_IN_NAMES.search(wanted) or wanted.startswith("-")):
        raise ConfigError("cannot name a run", repr(name), "choose a name without / * ? [ ] and a dash at its beginning, and not `latest`")
    try:
        return Labels(name=wanted, tags=tuple(tags), note=note or "")
    except ValidationError as error:
        raise ConfigError(error.errors(include_url=False)[0]["msg"], "--tag", "give fewer tags") from error


def read_labels(run: Store) -> Labels:
    """The labels of a run; none where it has none.

    Raises:
        StorageError: they are there and cannot be read.
    """
    data = run.read_or_none(LABELS)
    if data is None:
        return Labels()
    try:
        return Labels.model_validate(json.loads(data))  # pydantic's own reader takes no lone surrogates, which are cleaned here
    except (ValueError, RecursionError) as error:
        said = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise StorageError(f"unreadable labels: {said}", run.uri(LABELS), f"remove {LABELS}, then set them again: `runs tag`") from error


def write_labels(run: Store, labels: Labels) -> None:
    """Let a run have these labels in place of those it has.

    Raises:
        ConfigError: the run is being changed, or was removed: labels alone would make its directory again.
        StorageError: they cannot be written.
    """
    from rumiai_ray.runs.writer import MANIFEST  # noqa: PLC0415 -- pyarrow's import is not for a label that is refused

    hold = WriterHold(run)
    try:
        if not run.exists(MANIFEST):
            raise ConfigError("the run was removed in the meantime", run.uri(), "`rumiai-ray runs ls` lists the runs that exist")
        run.replace(LABELS, (labels.model_dump_json(indent=2) + "\n").encode())
    finally:
        hold.let_go()
