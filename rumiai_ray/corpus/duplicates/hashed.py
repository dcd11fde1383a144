"""The hashes of all videos of a corpus, in a few flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rumiai_ray.corpus.duplicates.candidates import CROP, MIRRORED, WHOLE, candidate_pairs
from rumiai_ray.corpus.duplicates.hashes import from_hex, mirrored, telling
from rumiai_ray.corpus.duplicates.matching import STEP_S, VIEW_S, VIEWS, HashedVideo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.corpus.duplicates.hashes import Flags, Floats, Hashes, Numbers

_ROWS = pa.schema(
    [pa.field("video_key", pa.string()), pa.field("time_s", pa.float64()), pa.field("view", pa.string()), pa.field("hash", pa.string())]
)
_SLACK_S = 1e-6


@dataclass(frozen=True)
class HashedCorpus:
    """Hashes in order of video and time."""

    keys: Sequence[str]
    """`video_key` of each video."""
    duration_s: Floats
    """(videos,)."""
    hashes: Hashes
    """(n, 32)."""
    known: Flags
    """(n,) false for null, and for a hash that tells too little."""
    time_s: Floats
    """(n,)."""
    view: Numbers
    """(n,) place in `VIEWS`."""
    video: Numbers
    """(n,) place in `keys`, ascending."""

    @classmethod
    def of(cls, rows: pa.Table, durations: pa.Table) -> HashedCorpus:
        """From the columns of `_ROWS` of `picture_hashes`, in their order, and the `video_key` and `duration_s` of videos.

        Raises:
            StorageError: a hash is none.
        """
        rows = rows.cast(_ROWS)
        view = pc.index_in(rows["view"], value_set=pa.array(VIEWS))
        rows = rows.set_column(rows.column_names.index("view"), "view", view).filter(pc.is_valid(view))
        rows = rows.sort_by([(name, "ascending") for name in ("video_key", "time_s", "view")]).combine_chunks()
        keys = pc.unique(rows["video_key"])
        names = [str(key) for key in keys.to_pylist()]
        hashes, known = from_hex(rows["hash"])
        lasts = dict(zip(durations["video_key"].to_pylist(), durations["duration_s"].to_pylist(), strict=True))
        return cls(
            keys=names,
            duration_s=np.array([lasts.get(name) or 0.0 for name in names], np.float64),
            hashes=hashes,
            known=known & telling(hashes),
            time_s=rows["time_s"].to_numpy().astype(np.float64),
            view=rows["view"].to_numpy().astype(np.int64),
            video=pc.index_in(rows["video_key"], value_set=keys).to_numpy().astype(np.int64),
        )

    def candidates(self) -> Numbers:
        """(pairs, 2) videos of which some pictures look alike; see `candidate_pairs`."""
        whole, crop = self.known & (self.view == 0), self.known & (self.view > 0)
        parts = ((self.hashes[whole], WHOLE, whole), (mirrored(self.hashes[whole]), MIRRORED, whole), (self.hashes[crop], CROP, crop))
        kinds = [np.full(len(hashes), kind, np.int8) for hashes, kind, _ in parts]
        videos = [self.video[some] for _, _, some in parts]
        return candidate_pairs(np.concatenate([hashes for hashes, _, _ in parts]), np.concatenate(videos), np.concatenate(kinds))

    def at(self, number: int) -> HashedVideo:
        """One video's hashes on a grid of time."""
        rows = slice(*np.searchsorted(self.video, [number, number + 1]).tolist())
        hashes, known, time_s, view = self.hashes[rows], self.known[rows], self.time_s[rows], self.view[rows]
        end_s = max(self.duration_s[number], float(time_s[-1]) + _SLACK_S)
        wholes, crops = np.flatnonzero(view == 0), np.flatnonzero(view == 1)
        held = wholes[_held(time_s[wholes], end_s, STEP_S)]
        if not len(crops):  # a run that lost them is read all the same
            return HashedVideo(hashes[held], known[held], np.empty((0, len(VIEWS), hashes.shape[1]), np.uint8), np.empty(0, np.bool_))
        cropped = crops[_held(time_s[crops], end_s, VIEW_S)]
        beside = wholes[np.clip(np.searchsorted(time_s[wholes], time_s[cropped], side="right") - 1, 0, None)]
        views = np.stack([hashes[beside], *(hashes[cropped + place] for place in range(len(VIEWS) - 1))], axis=1)
        return HashedVideo(hashes[held], known[held], views, known[cropped] & known[beside])


def _held(time_s: Floats, end_s: float, step_s: float) -> Numbers:
    """For each step of a video the place of the picture that is shown then. A picture belongs to the step in which it begins."""
    steps = np.arange(max(1, int(np.ceil(end_s / step_s - _SLACK_S))))
    return np.clip(np.searchsorted(np.floor(time_s / step_s + _SLACK_S), steps, side="right") - 1, 0, None)
