"""The page of a corpus: made to be shown, so that it names nobody and nothing of this machine, and loads nothing."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cohort_runs import figures, write_liked_videos
from made_corpus import Commit, Made, made_run
from report_run import analysis_row, video_row, write_run
from rumiai_ray import open_corpus
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.report.corpus_page import corpus_page
from rumiai_ray.report.values import seconds
from rumiai_ray.report.write import write_corpus
from synthetic_run import rewrite

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&\u202e"


@pytest.fixture(autouse=True)
def no_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Power cuts are not what these tests are about."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def page_of(out: Path, place: Path, **options: str) -> str:
    path = place / "page.html"
    write_corpus(open_corpus([f"{out}/*"], allow_mixed=True), path, **{"title": "Corpus", **options})
    return path.read_text(encoding="utf-8")


def test_a_page_says_what_is_in_the_corpus_what_liked_videos_have_more_of_and_names_nobody(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    write_liked_videos(out, title=HOSTILE)
    text = page_of(out, tmp_path, title=HOSTILE)
    tiles = dict(zip(*(re.findall(rf'<p class="{kind}">(.*?)</p>', text) for kind in ("name", "value")), strict=True))
    assert (tiles["videos"], tiles["creators"], tiles["runs"]) == ("60", "20", "1")
    assert "<h2>top 25% by view_count, against the rest</h2>" in text
    differs = text.partition("<h3>What differs</h3>")[2].partition("</table>")[0]
    assert re.search(r'title="Cuts in the window over its length[^"]*">cuts per minute</th><td>hook</td>', differs)
    assert 'like count</th><td class="number">98 %</td>' in text
    assert "It shows which features occur together, not why." in text
    assert "posted 2026-09-07 to 2026-09-27" in text
    assert "&lt;script&gt;document.title" in text
    assert text.count("<script>") == 1, "the page's own"
    assert not re.search(r"<img|\u202e|author-|post-0|" + re.escape(str(tmp_path)), text)
    assert not re.search(r"""(?:src|href|action|data)=["']?(?:https?:)?//|url\(|@import""", text)
    assert not re.search(r"<[^>]+ (?:style|on[a-z]+)=", text), "the policy would forbid it"
    with pytest.raises(ConfigError, match="already exists"):
        page_of(out, tmp_path)


def test_a_model_that_did_not_run_everywhere_and_runs_that_differ_are_named(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    made_run(out, "one", [Commit(1, [Made("a.mp4", "a", ends={"yolo": "ok", "ocr": "failed"}), Made("x.mp4", "x", dead=True)])])
    made_run(out, "two", [Commit(2, [Made("b.mp4", "b", ends={"yolo": "empty"})])], ["yolo"])
    page = corpus_page(open_corpus([f"{out}/*"], allow_mixed=True), title="Corpus")
    lines = {line.name: line for line in page.models}
    assert (lines["yolo"].parts, lines["yolo"].covered.text) == ((("ok", 1), ("empty", 1)), "100 %")
    assert (lines["ocr"].parts, lines["ocr"].covered.text) == ((("failed", 1), ("not run", 1)), "0 %")
    assert "ocr did not run on 1 of 2 videos." in page.warnings
    assert page.warnings[0].startswith("1 run was made with other models")
    assert page.warnings[0].endswith("Its figures are not directly comparable with the newest run's.")
    assert page.dead == (("InputError", 1),)
    assert page.cohorts is None
    text = page_of(out, tmp_path)
    assert "too few to compare" in text
    assert "models.ocr" in text


def test_the_metric_known_of_the_most_videos_is_compared_where_both_cohorts_can_be_tested(tmp_path: Path) -> None:
    rows = {
        f"post-{number:02}": {"videos": [video_row(f"post-{number:02}", like_count=number if number < 16 else None, view_count=number)]}
        for number in range(29)
    }
    write_run(tmp_path / "runs", rows)
    corpus = open_corpus([f"{tmp_path}/runs/*"])
    cohorts = corpus_page(corpus, title="Corpus").cohorts
    assert cohorts is not None
    assert cohorts.title == "top 25% by view_count"
    for top in ("24%", "7", "22", "80%", "99"):
        page = corpus_page(corpus, title="Corpus", top=top)
        assert (page.cohorts, f"the top {top} or the rest would be fewer than 8" in page.no_cohorts) == (None, True), top


@pytest.mark.parametrize(
    ("table", "name", "value", "said"),
    [
        ("videos", "uploaded_at", 2**53, "uploaded_at' holds times out of range"),
        ("videos", "duration_s", float("inf"), "length_s' holds numbers that are not finite"),
        ("videos", "duration_s", float("nan"), "length_s' holds numbers that are not finite"),
        ("windows", "cuts_per_minute", float("inf"), "hook_cuts_per_minute' holds numbers that are not finite"),
        ("windows", "words_per_minute", float("nan"), "hook_words_per_minute' holds numbers that are not finite"),
    ],
)
def test_a_time_or_a_number_that_no_run_has_is_damage(tmp_path: Path, table: str, name: str, value: float, said: str) -> None:
    run = write_run(tmp_path / "runs", {"clip": {"videos": [video_row("clip")], "windows": [figures("hook", 0)]}})
    record = run.records[0]
    facts = next(file for file in record.files if file.table == table)
    file = tmp_path / "runs" / run.run_id / facts.path
    rows = pq.read_table(file)
    kind = rows.schema.field(name)
    pq.write_table(rows.set_column(rows.column_names.index(name), kind, pa.array([value]).cast(kind.type)), file)
    changed = facts.model_copy(update={"size_bytes": file.stat().st_size, "sha256": sha256(file.read_bytes()).hexdigest()})
    rewrite(run.store, record.model_copy(update={"files": tuple(changed if one is facts else one for one in record.files)}))
    with pytest.raises(StorageError, match=f"{said}.*runs verify"):
        corpus_page(open_corpus([f"{tmp_path}/runs/*"]), title="Corpus")


@pytest.mark.parametrize(
    ("value_s", "shown"),
    [(59.4, "59.4 s"), (60, "1:00"), (3_599.4, "59:59"), (3_599.5, "1 h 0 min"), (86_000, "23 h 53 min"), (86_399, "1 d 0 h"),
     (3_000_000, "34 d 17 h")],
)  # fmt: skip
def test_a_long_time_is_shown_in_hours_or_days(value_s: float, shown: str) -> None:
    assert seconds(value_s).text == shown


def test_of_settings_that_differ_the_page_has_the_names_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ["models.yolo.settings.weights: /home/maria/acme.pt | yolo11n.pt", 'insights.calls_to_action: ["Buy: acme"] | []']
    monkeypatch.setattr("rumiai_ray.corpus.runs_table.different_parts", lambda *_: told)
    out = tmp_path / "runs"
    for name, at in (("one", 1), ("two", 2)):
        made_run(out, name, [Commit(at, [Made(f"{name}.mp4", name)])])
    text = page_of(out, tmp_path)
    assert "<li>models.yolo.settings.weights</li><li>insights.calls_to_action</li>" in text
    assert not re.search(r"maria|acme", text)


def test_a_corpus_without_videos_is_a_page_of_dashes(tmp_path: Path) -> None:
    made_run(tmp_path / "runs", "one", [])
    text = page_of(tmp_path / "runs", tmp_path)
    assert "no videos" in text
    assert "No figures were measured." in text


def test_a_name_of_a_backend_and_a_label_that_are_markup_stay_text(tmp_path: Path) -> None:
    rows = {"videos": [video_row("clip")], "analyses": [analysis_row("yolo", backend=HOSTILE)]}
    write_run(tmp_path / "runs", {"clip": rows})
    text = page_of(tmp_path / "runs", tmp_path)
    assert "&lt;script&gt;document.title" in text
    assert "<img" not in text
