"""Every command on a corpus, in the order in which somebody would try them: for a test on made runs, and for a script on real ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

MIXED = ("runs/*", "--allow-mixed")
USAGE = 2


@dataclass(frozen=True)
class Step:
    """One command below `rumiai-ray`, and how it must end."""

    arguments: tuple[str, ...]
    code: int = 0
    says: str = ""
    """Stands in what it prints."""


def steps(reviewed: str, forgotten: str) -> list[Step]:
    """The commands, for a directory with five runs in `runs/`, of which one has other settings and one is of an older release.

    Args:
        reviewed: id of the run whose detections `correct` corrects.
        forgotten: key of the video that is forgotten.
    """
    count = "SELECT count(*) AS videos, sum(duration_s) AS length_s FROM videos"
    coverage = "SELECT model_name, status, count(*) AS n FROM analyses GROUP BY ALL ORDER BY ALL"
    return [
        Step(("corpus", "ls", "runs/*"), says="not comparable"),
        Step(("corpus", "query", "runs/*", count), USAGE, "--allow-mixed"),
        Step(("corpus", "query", *MIXED, count), says="length_s"),
        Step(("corpus", "query", *MIXED, coverage, "--csv"), says="yolo,"),
        Step(("corpus", "query", *MIXED, "SELECT * FROM summary", "--json"), says="hook_cuts_per_minute"),
        Step(("corpus", "query", *MIXED, "SELECT run_id, counted, differences FROM runs", "--json"), says="counted"),
        Step(("corpus", "query", *MIXED, "COPY videos TO 'x.csv'"), USAGE, "SELECT"),
        Step(("corpus", "compare", *MIXED, "--by", "duration_s", "--top", "50%"), says="the rest: "),
        Step(("corpus", "compare", *MIXED, "--where", "duration_s > 8", "--csv"), says="feature,kind,"),
        Step(("corpus", "compare", *MIXED, "--by", "duration_s", "--correlate"), says="duration_s"),
        Step(("corpus", "compare", *MIXED, "--by", "duration_s", "--over", "week", "--page", "weeks.html"), says="open weeks.html"),
        Step(("corpus", "search", *MIXED, "person"), says="place"),
        Step(("corpus", "report", *MIXED, "--to", "corpus.html"), says="open corpus.html"),
        Step(("corpus", "export", *MIXED, "--format", "parquet"), says="files under corpus-parquet"),
        Step(("corpus", "export", *MIXED, "--format", "feature-csv"), says="written to corpus-features.csv"),
        Step(("corpus", "compact", "runs/*", "--to", "compacted"), says="files under compacted"),
        Step(("corpus", "compact", "compacted", "--check"), says="sound"),
        Step(("corpus", "query", "compacted", "--allow-mixed", count), says="length_s"),
        Step(("export", reviewed, "--format", "coco", "--no-pictures", "--to", "coco"), says="under coco"),
        Step(("corpus", "review", reviewed, "corrected.json", "--by", "somebody"), says="corrections in"),
        Step(("corpus", "query", *MIXED, "SELECT * FROM accuracy", "--json"), says='"precision"'),
        Step(("manifest", "minus", "posts.csv", "runs/*", "--to", "left.csv"), says="1 rows written to left.csv"),
        Step(("runs", "tag", reviewed, "--name", "spring", "--tag", "client"), says=""),
        Step(("runs", "ls"), says="spring"),
        Step(("corpus", "forget", "runs/*", "--video", forgotten, "--dry-run"), says="would be forgotten"),
        Step(("corpus", "forget", "runs/*", "--video", forgotten), says="forgotten"),
        Step(("corpus", "query", *MIXED, f"SELECT count(*) AS left_of_it FROM entries WHERE video_key = '{forgotten}'", "--csv"), says="0"),  # noqa: S608
        Step(("runs", "verify", reviewed)),
        Step(("runs", "rm", "--older-than", "90d", "--keep-tag", "client", "--dry-run")),
    ]


def correct(place: Path) -> None:
    """What a reviewer would do to `coco/annotations.json`: one box is removed; all the others stay."""
    value: Any = json.loads((place / "coco/annotations.json").read_text(encoding="utf-8"))
    value["annotations"] = value["annotations"][1:]
    (place / "corrected.json").write_text(json.dumps(value), encoding="utf-8")
