"""The tables `reviews` and `accuracy` of a corpus: what people said of detections, and how often each model was right by that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rumiai_ray.runs.reviews.table import REVIEWS, ReviewVerdict, newest_reviews, read_reviews
from rumiai_ray.storage import in_parallel

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from rumiai_ray.runs.reader import Run

ACCURACY = "accuracy"

_OF_BOTH = (ReviewVerdict.CONFIRMED, ReviewVerdict.RELABELLED)


def reviews_table(runs: Sequence[Run]) -> pa.Table:
    """The reviews of all runs, also of those whose rows no longer count: a review is of a model, and a later analysis does not undo it.

    A review of a run that was copied counts once.

    Raises:
        StorageError: a file of reviews is damaged.
    """
    return newest_reviews(in_parallel(lambda run: read_reviews(run.store), runs))


def accuracy_sql() -> str:
    """The SELECT statement of the view `accuracy`: one row per model and release."""
    detections, given = (f"verdict IN ({_listed(*_OF_BOTH, one)})" for one in (ReviewVerdict.REMOVED, ReviewVerdict.MISSED))
    right = f"count(*) FILTER (verdict = '{ReviewVerdict.CONFIRMED}')"
    counts = ", ".join(f"count(*) FILTER (verdict = '{one}') AS {one}" for one in ReviewVerdict if one is not ReviewVerdict.EMPTY)
    return f"""
        SELECT model_name, backend, model_version, weights_sha256, source_sha256,
            count(DISTINCT video_key) AS videos, count(DISTINCT (run_id, video_key, frame_index)) AS frames,
            count(DISTINCT reviewer) AS reviewers,
            count(DISTINCT (run_id, video_key, frame_index, object_index)) FILTER ({detections}) AS detections,
            count(*) FILTER ({given}) AS reviewed_boxes, {counts},
            {right} / nullif(count(*) FILTER ({detections}), 0) AS precision,
            {right} / nullif(count(*) FILTER ({given}), 0) AS recall,
            {right} / nullif(count(*) FILTER (verdict IN ({_listed(*_OF_BOTH)})), 0) AS label_agreement,
            median(iou) AS median_iou
        FROM {REVIEWS} GROUP BY model_name, backend, model_version, weights_sha256, source_sha256
        ORDER BY model_name, backend, model_version, weights_sha256, source_sha256
    """  # noqa: S608 -- our own words only


def _listed(*verdicts: ReviewVerdict) -> str:
    return ", ".join(f"'{one}'" for one in verdicts)
