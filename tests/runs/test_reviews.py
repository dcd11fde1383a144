"""Corrections made in a labelling tool: read back from the formats that `export` writes, judged box by box, kept beside the run."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from report_run import analysis_row, video_key, video_row, write_run
from rumiai_ray import open_corpus
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.runs.export.labelling import export_labelling
from rumiai_ray.runs.forget import Doomed, Selected, clean, forget
from rumiai_ray.runs.reviews.given import parse_review
from rumiai_ray.runs.reviews.judged import judge
from rumiai_ray.runs.reviews.table import REVIEWS, read_reviews, review_files, table_of, write_reviews
from synthetic_run import WEIGHTS, object_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rumiai_ray.runs.reader import Run
    from rumiai_ray.runs.reviews.judged import Judged

FILES = {"coco": "annotations.json", "fiftyone": "samples.json", "labelstudio": "tasks.json"}
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def box(frame: int, index: int, x1: float, label: str = "dog") -> dict[str, Any]:
    return object_row(frame, index, x1=x1, y1=100, x2=x1 + 100, y2=300, label=label, class_id=16, confidence=0.5)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Frame 0 has three boxes, frame 1 one, frame 2 none."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    seen = analysis_row("yolo", frames_seen=[0, 1, 2], frames_planned=3, frames_analyzed=3)
    rows = [box(0, 0, 0), box(0, 1, 150), box(0, 2, 300), box(1, 0, 50)]
    return write_run(tmp_path / "runs", {"clip": {"videos": [video_row("clip")], "analyses": [seen], "objects": rows}})


def exported(run: Run, place: Path, kind: Any) -> Any:
    """What `export` wrote, as it comes back from a tool in which nobody has changed anything yet."""
    export_labelling(run, place / kind, kind, None)
    value = json.loads((place / kind / FILES[kind]).read_text())
    if kind == "labelstudio":
        for task in value:
            task["annotations"] = [{"completed_by": 7, "updated_at": "2026-11-29T10:00:00Z", "result": task["predictions"][0]["result"]}]
    return value


def judged(run: Run, value: Any, **options: Any) -> Judged:
    data = json.dumps(value).encode()
    return judge(run, parse_review(data, "file", **options), imported_at=NOW, file_sha256="f" * 64)


def verdicts(found: Judged) -> list[tuple[int, str, str | None, str | None]]:
    rows = [(row["frame_index"], row["verdict"], row["label"], row["reviewed_label"]) for row in found.rows.to_pylist()]
    return sorted(rows, key=str)


def frames_in(value: Any) -> list[dict[str, Any]]:
    """What a file says of each frame."""
    if isinstance(value, list):
        return [task["data"] for task in value]
    return list(value["images"] if "images" in value else value["samples"])


def correct_coco(value: Any) -> None:
    boxes = value["annotations"]
    boxes[0]["category_id"] = next(one["id"] for one in value["categories"] if one["name"] == "cat")
    del boxes[1]
    boxes[1]["bbox"][0] += 10
    boxes.append({"id": 99, "image_id": 3, "category_id": boxes[1]["category_id"], "bbox": [0, 0, 57.6, 102.4]})
    for image in value["images"]:
        del image["video_key"], image["frame_index"]  # as tools do that know nothing of them


def correct_fiftyone(value: Any) -> None:
    first, _, third = value["samples"]
    boxes = first["objects"]["detections"]
    boxes[0]["label"] = "cat"
    del boxes[1]
    boxes[1]["bounding_box"][0] += 10 / 576
    third["objects"]["detections"].append({"label": "dog", "bounding_box": [0, 0, 0.1, 0.1]})


def correct_labelstudio(value: Any) -> None:
    results = [task["annotations"][0]["result"] for task in value]
    results[0][0]["value"]["rectanglelabels"] = ["cat"]
    del results[0][1]
    results[0][1]["value"]["x"] += 1000 / 576
    new = {"type": "rectanglelabels", "original_width": 576, "original_height": 1024}
    results[2].append(new | {"value": {"x": 0, "y": 0, "width": 10, "height": 10, "rotation": 0, "rectanglelabels": ["dog"]}})


CORRECT: dict[str, Callable[[Any], None]] = {"coco": correct_coco, "fiftyone": correct_fiftyone, "labelstudio": correct_labelstudio}


@pytest.mark.parametrize("kind", FILES)
def test_an_export_comes_back_unchanged_and_corrected(run: Run, tmp_path: Path, kind: str) -> None:
    value = exported(run, tmp_path, kind)
    found = judged(run, value)
    assert (found.frames, found.videos, found.changed, found.unknown) == (3, 1, 0, 0)
    assert [one[1] for one in verdicts(found)] == ["confirmed"] * 4 + ["empty"]
    CORRECT[kind](value)
    found = judged(run, value)
    assert verdicts(found) == sorted(
        [
            (0, "relabelled", "dog", "cat"),
            (0, "removed", "dog", None),
            (0, "confirmed", "dog", "dog"),
            (1, "confirmed", "dog", "dog"),
            (2, "missed", None, "dog"),
        ],
        key=str,
    )
    assert found.changed == 4
    rows = {(row["frame_index"], row["verdict"]): row for row in found.rows.to_pylist()}
    moved = rows[0, "confirmed"]
    assert moved["object_index"] == 2
    assert moved["iou"] == pytest.approx(90 / 110, abs=1e-4)
    assert moved["reviewed_x1"] == pytest.approx(310, abs=0.01)
    assert rows[2, "missed"]["reviewed_y2"] == pytest.approx(102.4, abs=0.01)
    assert {row["weights_sha256"] for row in rows.values()} == {WEIGHTS}
    assert {row["reviewer"] for row in rows.values()} == {"7" if kind == "labelstudio" else None}


def test_a_corpus_has_the_reviews_and_the_accuracy_of_each_model_with_numbers(run: Run, tmp_path: Path) -> None:
    corpus = open_corpus([run.store.uri()])
    assert corpus.table("reviews").num_rows == 0
    assert corpus.table("accuracy").num_rows == 0
    value = exported(run, tmp_path, "labelstudio")
    correct_labelstudio(value)
    write_reviews(run.store, judged(run, value).rows)
    (row,) = corpus.query("SELECT * FROM accuracy").to_pylist()
    expected = {"model_name": "yolo", "backend": "yolo/backend", "videos": 1, "frames": 3, "reviewers": 1, "detections": 4,
                "reviewed_boxes": 4, "confirmed": 2, "relabelled": 1, "removed": 1, "missed": 1}  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert (row["precision"], row["recall"], row["label_agreement"]) == pytest.approx((0.5, 0.5, 2 / 3))
    assert corpus.query("SELECT count(*) AS n FROM reviews JOIN videos USING (video_key)").to_pylist() == [{"n": 5}]
    assert run.again().verify() == []


def test_the_later_review_of_a_frame_by_one_reviewer_counts_and_two_reviewers_are_two(run: Run, tmp_path: Path) -> None:
    value = exported(run, tmp_path, "labelstudio")
    first = judged(run, value).rows
    correct_labelstudio(value)
    value[0]["annotations"].append({"completed_by": {"id": 8, "email": "a@b.c"}, "result": []})
    value[0]["annotations"].insert(0, {"completed_by": 7, "updated_at": "2026-11-28T10:00:00Z", "result": []})
    second = judge(run, parse_review(json.dumps(value).encode(), "file"), imported_at=NOW.replace(hour=13), file_sha256="e" * 64).rows
    for rows in (second, first):
        write_reviews(run.store, rows)
    found = [(row["reviewer"], row["frame_index"], row["verdict"]) for row in read_reviews(run.store).to_pylist()]
    assert sorted(found) == sorted(
        [("7", 0, "relabelled"), ("7", 0, "confirmed"), ("7", 0, "removed"), ("7", 1, "confirmed"), ("7", 2, "missed")]
        + 3 * [("8", 0, "removed")]
    )


def test_a_copied_run_and_a_second_reviewer_double_neither_reviews_nor_detections(run: Run, tmp_path: Path) -> None:
    value = exported(run, tmp_path, "labelstudio")
    write_reviews(run.store, judged(run, value).rows)
    place = tmp_path / "runs" / run.run_id
    shutil.copytree(place, tmp_path / "copy")
    once, twice = open_corpus([place]), open_corpus([place, tmp_path / "copy"])
    for table in ("reviews", "accuracy"):
        assert twice.table(table).to_pylist() == once.table(table).to_pylist()
    for task in value:
        task["annotations"].append({**task["annotations"][0], "completed_by": 8})
    later = judge(run, parse_review(json.dumps(value).encode(), "file"), imported_at=NOW.replace(hour=13), file_sha256="e" * 64).rows
    write_reviews(run.store, later)
    for corpus in (open_corpus([place]), open_corpus([tmp_path / "copy", place])):
        (row,) = corpus.query("SELECT detections, confirmed, reviewers, precision, recall FROM accuracy").to_pylist()
        assert row == {"detections": 4, "confirmed": 8, "reviewers": 2, "precision": 1.0, "recall": 1.0}


def test_boxes_that_were_turned_or_lie_at_one_place_are_told_apart(run: Run, tmp_path: Path) -> None:
    value = exported(run, tmp_path, "labelstudio")
    (region,) = value[1]["annotations"][0]["result"]
    # Turned by a right angle about its top left corner: what was right of it lies below now, what was below to the left.
    region["value"] |= {"x": 15000 / 576, "width": 20000 / 576, "height": 10000 / 1024, "rotation": 90}
    other = json.loads(json.dumps(region))
    other["value"]["rectanglelabels"] = ["cat"]
    value[1]["annotations"][0]["result"] = [other, region]
    found = [row for row in judged(run, value).rows.to_pylist() if row["frame_index"] == 1]
    assert {(row["verdict"], row["reviewed_label"]) for row in found} == {("confirmed", "dog"), ("missed", "cat")}
    assert next(row["iou"] for row in found if row["iou"] is not None) == pytest.approx(1, abs=1e-3)


def test_frames_that_nobody_reviewed_that_are_unknown_or_of_another_run_are_counted_and_left_out(run: Run, tmp_path: Path) -> None:
    value = exported(run, tmp_path, "labelstudio")
    value[0]["annotations"][0]["was_cancelled"] = True
    value[1]["data"]["run_id"] = "20260101T000000Z-aaaaaa"
    value[2]["data"]["video_key"] = "0" * 64
    given = parse_review(json.dumps(value).encode(), "file")
    found = judge(run, given, imported_at=NOW, file_sha256="f" * 64)
    assert (given.unreviewed, found.of_other_runs, found.unknown, found.frames) == (1, 1, 1, 0)
    samples = exported(run, tmp_path, "fiftyone")
    samples["samples"][1]["tags"] = ["done"]
    assert judged(run, samples, tag="done").frames == 1


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("stated", [{"video_key": "0" * 64}, {"frame_index": 1}, {"video_key": "0" * 64, "frame_index": 0}])
def test_a_frame_of_which_the_file_says_that_it_is_another_than_its_name_is_unknown(
    run: Run, tmp_path: Path, kind: str, stated: dict[str, Any]
) -> None:
    value = exported(run, tmp_path, kind)
    for number, frame in enumerate(frames_in(value)):
        for name in ("run_id", "video_key", "frame_index"):
            frame.pop(name, None)
        frame.update(stated if number == 0 else {})
    found = judged(run, value)
    assert (found.unknown, found.frames, found.by_name) == (1, 2, 2)
    assert {row["frame_index"] for row in found.rows.to_pylist()} == {1, 2}


@pytest.mark.parametrize("kind", FILES)
def test_frames_that_are_known_by_the_names_of_their_pictures_alone_are_counted(run: Run, tmp_path: Path, kind: str) -> None:
    value = exported(run, tmp_path, kind)
    assert judged(run, value).by_name == 0
    first, second, _ = frames_in(value)
    first.pop("video_key")
    second.pop("frame_index")
    found = judged(run, value)
    assert (found.by_name, found.frames, found.unknown, found.changed) == (2, 3, 0, 0)


@pytest.mark.parametrize("bounds", [(-300, 0, 100, 100), (600, 0, 100, 100), (0, 2000, 10, 10), (10, 10, 0, 100), (10, 10, 100, -5)])
def test_a_box_outside_the_picture_or_without_extent_is_counted_and_its_frame_is_not_called_empty(
    run: Run, tmp_path: Path, bounds: tuple[int, ...]
) -> None:
    value = exported(run, tmp_path, "coco")
    value["annotations"].append({"id": 99, "image_id": 3, "category_id": value["annotations"][0]["category_id"], "bbox": bounds})
    found = judged(run, value)
    assert (found.outside, found.frames, found.changed) == (1, 2, 0)
    assert [one[1] for one in verdicts(found)] == ["confirmed"] * 4
    value["annotations"][-1]["image_id"] = 2
    found = judged(run, value)
    assert (found.outside, found.frames) == (1, 3)
    assert [one[1] for one in verdicts(found)] == ["confirmed"] * 4 + ["empty"]


def test_a_frame_of_whose_boxes_none_can_be_used_rejects_no_detection(run: Run, tmp_path: Path) -> None:
    value = exported(run, tmp_path, "coco")
    unusable = value["annotations"][0] | {"id": 99, "bbox": [-300, 0, 100, 100]}
    value["annotations"] = [one for one in value["annotations"] if one["image_id"] != unusable["image_id"]] + [unusable]
    found = judged(run, value)
    assert found.outside == 1
    assert {one[1] for one in verdicts(found)} <= {"confirmed", "empty"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "neither Label Studio"),
        (b'[{"image": "a.jpg", "label": []}]', "0.data|data"),
        (
            b'{"images": [], "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}], "categories": []}',
            "image 1 or category 1, which the file does not define",
        ),
        (b'{"images": [{"id": 1, "width": 0, "height": 1}], "annotations": [], "categories": []}', "greater than 0"),
        (b'{"samples": [{"filepath": "a"}]}', "--field"),
        (b'{"samples": 1}', "not a readable review"),
        (b'{"samples": [{"objects": {"detections": [{"label": "a", "bounding_box": [NaN, 0, 1, 1]}]}}]}', "finite"),
        (b'[{"data": {}, "annotations": [{"updated_at": "9999-12-31T23:59:59-05:00", "result": []}]}]', "not a readable review"),
        (b'[{"data": {}, "annotations": [{"result": [{"type": "rectanglelabels", "value": 1}]}]}]', "not a readable review"),
    ],
)
def test_a_file_of_no_tool_is_refused_with_what_is_wrong(data: bytes, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_review(data, "file")


KEYS = [
    "images",
    "annotations",
    "categories",
    "samples",
    "objects",
    "detections",
    "label",
    "bounding_box",
    "bbox",
    "id",
    "image_id",
    "category_id",
    "data",
    "result",
    "value",
    "type",
    "x",
    "width",
    "height",
    "file_name",
    "name",
]
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
)


def places_in(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where each value within a JSON value is."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for name, one in inner for found in places_in(one, (*place, name)))]


def replaced(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    if not place:
        return other
    inner = replaced(value[place[0]], place[1:], other)
    if isinstance(value, dict):
        return value | {place[0]: inner}
    return [*value[: place[0]], inner, *value[place[0] + 1 :]]


@pytest.mark.parametrize("kind", FILES)
def test_any_json_or_an_export_with_any_json_in_it_is_judged_without_losing_a_box_or_refused_by_name(
    run: Run, tmp_path: Path, kind: str
) -> None:
    value = exported(run, tmp_path, kind)
    ends: Counter[str] = Counter()

    @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
    @given(st.just(()) | st.sampled_from(places_in(value)), _json)
    @example(("nothing",), None)
    def check(place: tuple[Any, ...], other: Any) -> None:
        data = json.dumps(value if place == ("nothing",) else replaced(value, place, other)).encode()
        try:
            review = parse_review(data, "the file")
        except ConfigError as error:
            ends[f"refused {error.subject}"] += 1
            return
        ends["read"] += 1
        found = judge(run, review, imported_at=NOW, file_sha256="f" * 64)
        found.rows.validate(full=True)
        rows = found.rows.to_pylist()
        edges = [row[f"reviewed_{name}"] for row in rows for name in ("x1", "y1", "x2", "y2") if row["reviewed_label"] is not None]
        assert all(0 <= edge <= 1024 for edge in edges), "inside the picture, and no NaN"
        assert len({(row["video_key"], row["frame_index"], row["reviewer"]) for row in rows}) == found.frames
        if found.frames == len(review.frames):
            boxes = sum(len(frame.boxes) for frame in review.frames)
            assert sum(row["reviewed_label"] is not None for row in rows) == boxes - found.outside

    check()
    assert ends.keys() == {"read", "refused the file"}


@pytest.mark.parametrize("kind", FILES)
def test_a_frame_with_more_boxes_than_are_read_is_refused_by_name(run: Run, tmp_path: Path, kind: str) -> None:
    value = exported(run, tmp_path, kind)
    boxes = {
        "coco": lambda: value["annotations"],
        "fiftyone": lambda: value["samples"][0]["objects"]["detections"],
        "labelstudio": lambda: value[0]["annotations"][0]["result"],
    }[kind]()
    boxes += [boxes[0]] * 5_000
    with pytest.raises(ConfigError, match=r"frame '.*jpg' has 5,00\d boxes, at most 5,000"):
        judged(run, value)


def test_what_a_run_forgets_is_in_no_review_any_more(run: Run, tmp_path: Path) -> None:
    write_reviews(run.store, judged(run, exported(run, tmp_path, "coco")).rows)
    key = video_key("clip")
    forget(run, Doomed(frozenset({"clip"}), frozenset({key}), frozenset({"clip.mp4"})), Selected("video", key))
    assert read_reviews(run.store).num_rows == 0
    assert not [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and REVIEWS in path.parts]


def two_videos(run: Run, rows: pa.Table) -> tuple[pa.Table, str]:
    """A review's rows, and the same ones of a video that nothing forgets, with that video's key."""
    other = video_key("other")
    both = rows.to_pylist() + [row | {"video_key": other} for row in rows.to_pylist()]
    return table_of([row | {"run_id": run.run_id} for row in both]), other


@pytest.mark.parametrize("stopped", ["before its files were rewritten", "before the old file was removed"])
def test_a_forgetting_that_was_broken_off_shows_no_review_of_the_video_and_each_other_one_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: str
) -> None:
    rows, other = two_videos(run, judged(run, exported(run, tmp_path, "coco")).rows)
    write_reviews(run.store, rows)
    key = video_key("clip")

    def fall_over(*_: Any) -> None:
        raise StorageError("the disk is full", "", "")

    where = {"before its files were rewritten": "runs.forget.without_videos", "before the old file was removed": "storage.Store.remove"}
    with monkeypatch.context() as broken:
        broken.setattr(f"rumiai_ray.{where[stopped]}", fall_over)
        with pytest.raises(StorageError, match="disk is full"):
            forget(run, Doomed(frozenset({"clip"}), frozenset({key}), frozenset({"clip.mp4"})), Selected("video", key))
    assert len(list(review_files(run.store))) == (1 if stopped == "before its files were rewritten" else 2)
    found = read_reviews(run.store)
    assert found["video_key"].to_pylist() == [other] * (rows.num_rows // 2)
    assert any("reviews/" in problem and "still holds what was forgotten" in problem for problem in run.again().verify())
    clean(run.again())
    assert read_reviews(run.store).num_rows == rows.num_rows // 2
    assert run.again().verify() == []


def test_an_altered_file_of_reviews_is_damage_that_verify_and_a_question_name(run: Run, tmp_path: Path) -> None:
    path = write_reviews(run.store, judged(run, exported(run, tmp_path, "coco")).rows)
    file = tmp_path / "runs" / run.run_id / path
    file.write_bytes(file.read_bytes() + b"x")
    assert any("SHA-256" in problem for problem in run.again().verify())
    corpus = open_corpus([run.store.uri()])
    with pytest.raises(StorageError, match="corpus review"):
        corpus.table("reviews")
    assert corpus.table("objects").num_rows == 4
    other = write_reviews(run.store, pa.table({"video_key": ["a"]}))
    file.unlink()
    with pytest.raises(StorageError, match="columns"):
        corpus.table("reviews")
    assert other != path
