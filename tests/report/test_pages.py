"""What stands on the report's pages, and what may not."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from html import unescape
from typing import TYPE_CHECKING

import pytest

from report_run import OLD_TABLES, analysis_row, plain_rows, text_row, video_key, video_row, word_rows, write_run
from rumiai_ray.errors import ConfigError
from rumiai_ray.report.write import ReportSize, find_video, write_report, write_video
from rumiai_ray.runs.diff import compare_runs
from rumiai_ray.runs.find import find_run
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import RunWriter
from rumiai_ray.schema.registry import TABLES_BY_NAME
from synthetic_run import manifest, stamped

if TYPE_CHECKING:
    from pathlib import Path

    from rumiai_ray.runs.reader import Run

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"


def page_of(run: Run, workplace: Path, wanted: str = "clip") -> str:
    return write_video(run, wanted, workplace / "page.html", None).read_text(encoding="utf-8")


def lane(page: str, name: str) -> str:
    """What a lane of the timeline says beside its name."""
    found = re.search(rf'lane-name"><span>{name}(.*?)</span>', page)
    assert found, name
    return re.sub(r"<.*?>", "", found[1])


def test_every_text_of_a_video_stays_text(tmp_path: Path) -> None:
    video = video_row(
        "clip", title=HOSTILE, description=HOSTILE, author=HOSTILE, hashtags=[HOSTILE], media_problems=[HOSTILE],
        columns=[(HOSTILE, HOSTILE)], input=f"{HOSTILE}.mp4", source_url="javascript:alert(1)",
    )  # fmt: skip
    failed = analysis_row("ocr", "failed", error_class="ModelError", error_message=HOSTILE, processing_time_s=None)
    rows = {"videos": [video], "analyses": [failed], "texts": [text_row(0, HOSTILE)], **word_rows([HOSTILE])}
    run = write_run(tmp_path / "runs", {"clip": rows})
    written = write_report(run, tmp_path / "report", None)
    assert len(written) == 2
    for page in written:
        text = page.read_text(encoding="utf-8")
        assert "&lt;script&gt;document.title" in text
        assert text.count("<script>") == 1, "the page's own"
        assert "<img src=x" not in text
        assert 'href="javascript:' not in text


def test_pages_name_nothing_outside_and_their_policy_allows_nothing_else(tmp_path: Path) -> None:
    written = write_report(write_run(tmp_path / "runs", {"clip": plain_rows()}), tmp_path / "report", None)
    for page in written:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"""(?:src|href|action|data)=["']?(?:https?:)?//|url\(|@import""", text)
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
        assert policy
        assert policy[1].startswith("default-src &#39;none&#39;; img-src data:;")
        for element in ("style", "script"):
            content = text.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"{element}-src &#39;sha256-{digest}&#39;" in policy[1]
        assert not re.search(r"<[^>]+ (?:style|on[a-z]+)=", text), "the policy would forbid it"


def test_a_run_from_before_the_insights_says_not_computed_and_not_zero(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": plain_rows()}, tables=OLD_TABLES)
    page = page_of(run, tmp_path)
    for name in ("shots", "framing", "loudness"):
        assert lane(page, name) == ": not computed in this run"
    for heading in ("People and framing", "Hook, middle, closing"):
        assert '<p class="missing">not computed in this run</p>' in page.partition(f"<h2>{heading}</h2>")[2].partition("<section>")[0]
    index = write_report(run, tmp_path / "report", None)[0].read_text(encoding="utf-8")
    said = index.partition("Not computed in this run: ")[2].partition(". It was written")[0].split(", ")
    assert said == [name for name in TABLES_BY_NAME if name not in OLD_TABLES]
    assert {"shots", "text_spans", "person_framing", "windows", "timeline"} <= set(said)
    row = index.partition('id="videos"')[2].partition("<tbody>")[2]
    cells = [re.sub(r"<.*?>", "", cell).strip() for cell in re.findall(r'<td class="number".*?</td>', row, re.DOTALL)]
    people = dict(zip(("length", "people", "face", "eye contact", "shots", "objects", "words"), cells, strict=False))
    assert people["length"] == "10.0 s"
    assert people["people"] == people["face"] == people["eye contact"] == people["shots"] == "— (not computed in this run)"
    assert (people["objects"], people["words"]) == ("1", "2")


def test_a_model_that_failed_was_skipped_or_not_asked_is_named_where_its_figures_would_be(tmp_path: Path) -> None:
    analyses = [
        analysis_row("yolo", "failed", error_class="ModelError", error_message="it crashed", processing_time_s=None),
        analysis_row("whisper", "skipped", detail="no audio stream", processing_time_s=None),
        analysis_row("mediapipe", "empty"),
    ]
    page = page_of(write_run(tmp_path / "runs", {"clip": {"analyses": analyses}}), tmp_path)
    assert lane(page, "objects") == ": yolo failed: ModelError: it crashed"
    assert lane(page, "speech") == ": whisper was skipped: no audio stream"
    assert lane(page, "expression") == ": emotion was not part of this run"
    assert lane(page, "gestures") == ": nothing found"
    assert lane(page, "looks at the camera") == ": no face"


def test_what_the_source_says_of_sound_subtitles_and_mentions_is_shown_and_stays_text(tmp_path: Path) -> None:
    said = {"track": "Burn Out", "artists": ["The Cinematic Orchestra", HOSTILE], "save_count": 1200, "is_ad": True, "mentions": ["a", "b"]}
    video = video_row("clip", **said, subtitle_languages=["pt-BR"], auto_subtitle_languages=["en"])
    page = page_of(write_run(tmp_path / "runs", {"clip": {"videos": [video]}}), tmp_path)
    words = " ".join(re.sub(r"<.*?>", " ", page).split())
    for shown in ("sound Burn Out by The Cinematic Orchestra, ", "saves 1,200", "advertisement yes", "mentions @a @b"):
        assert shown in words
    assert "subtitles pt-BR, en (automatic)" in words
    assert "&lt;script&gt;document.title" in page


def test_what_the_source_does_not_say_has_no_line(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "runs", {"clip": {"videos": [video_row("clip", author="someone", mentions=[])]}}), tmp_path)
    source = page.partition("someone")[0].rpartition("<section")[2] + page.partition("someone")[2].partition("</section>")[0]
    assert not re.search(r">(?:sound|saves|advertisement|mentions|subtitles)<", source)


def test_the_page_shows_what_was_found(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "runs", {"clip": plain_rows()}, tables=OLD_TABLES), tmp_path)
    assert 'aria-label="0.00 seconds: objects: person; expression: happiness 0.94; text: BUY NOW"' in page
    assert re.search(r'class="word" data-t="1.0" data-e="1.5"[^>]*>hello</button>', page)
    assert '<svg x="10.000%" y="1" width="5.000%"' in page, "the first word, from 1.0 to 1.5 of 10 seconds"
    assert "mediapipe ok" in page


def test_the_runs_page_counts_statuses_and_groups_failures(tmp_path: Path) -> None:
    crash = analysis_row("yolo", "failed", error_class="ModelError", error_message="it crashed", processing_time_s=None)
    entries = {name: {"analyses": [crash, analysis_row("ocr")]} for name in ("a", "b", "c")}
    index = write_report(write_run(tmp_path / "runs", entries, dead=("d", "e")), tmp_path / "report", None)[0].read_text(encoding="utf-8")
    assert re.search(r"3 failed", index)
    failures = index.partition("<h2>Failures</h2>")[2].partition("</section>")[0]
    assert [int(times) for times in re.findall(r'<tr><td class="number">(\d+)</td>', failures)] == [3, 2]
    assert "it crashed" in failures
    assert "no such file" in failures
    assert index.count("dead letter</span>") == 2


def test_a_run_that_was_stopped_says_how_many_inputs_it_never_came_to(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path / "runs", manifest(entries=5))
    writer.add({"videos": stamped("videos", [video_row("a")], "a"), "analyses": stamped("analyses", [analysis_row("yolo")], "a")})
    writer.commit(["a"])
    writer.finish("aborted", {})
    index = write_report(open_run(writer.run.uri()), tmp_path / "report", None)[0].read_text(encoding="utf-8")
    assert "Not analysed: 4 of 5 inputs. The run is aborted" in index
    assert "every input was read" not in index


def test_entries_of_one_video_share_its_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": plain_rows()})
    assert len(write_report(run, tmp_path / "report", None)) == 1 + 1


def test_no_more_pages_are_written_than_asked_for_and_the_others_are_still_listed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {name: {} for name in ("a", "b", "c")})
    index, *pages = write_report(run, tmp_path / "report", None, ReportSize(pages=1))
    assert [page.name for page in pages] == ["a.html"]
    text = index.read_text(encoding="utf-8")
    assert text.count('href="videos/') == 1
    assert "c.mp4" in text
    assert "1 of 3 videos has a page in this report." in text
    assert f"<code>rumiai-ray report {run.store.uri()} --pages 3 --to DIRECTORY</code>" in text
    assert f"<code>rumiai-ray report {run.store.uri()} --video c</code>" in text
    assert "--video a</code>" not in text, "it has a page"


def test_the_commands_on_the_runs_page_find_the_run_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "it's elsewhere" / "runs", {"a": {}, "b": {}})
    text = write_report(run, tmp_path / "report", None, ReportSize(pages=1))[0].read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(unescape(found)) for found in re.findall(r"<code>(rumiai-ray report .*?)</code>", text)]
    assert [command[3:] for command in commands] == [["--pages", "2", "--to", "DIRECTORY"], ["--video", "b"]]
    assert [find_run(command[2], "runs").run_id for command in commands] == [run.run_id, run.run_id]


def test_a_report_with_a_page_of_every_video_tells_nobody_how_to_get_more(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": {}}, dead=("gone",))
    text = write_report(run, tmp_path / "report", None)[0].read_text(encoding="utf-8")
    assert "in this report" not in text
    assert "no page" not in text, "a dead letter cannot have one"


def test_links_lead_to_pages_whatever_an_entry_is_called(tmp_path: Path) -> None:
    name = "a b/c%20#?.mp4"
    index, page = write_report(write_run(tmp_path / "runs", {name: {}}), tmp_path / "report", None)
    link = re.search(r'href="(videos/[^"]*)"', index.read_text(encoding="utf-8"))
    assert link
    assert link[1].replace("%25", "%") == page.relative_to(tmp_path / "report").as_posix()


def test_reports_never_mix_and_files_are_never_written_over(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": {}})
    write_report(run, tmp_path / "report", None)
    with pytest.raises(ConfigError, match="not empty"):
        write_report(run, tmp_path / "report", None)
    write_video(run, "clip", tmp_path / "one.html", None)
    with pytest.raises(ConfigError, match="already exists"):
        write_video(run, "clip", tmp_path / "one.html", None)


def test_a_video_is_named_by_entry_input_or_the_beginning_of_its_key(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": {}, "other": {}}, dead=("gone",))
    for wanted in ("clip", "clip.mp4", video_key("clip"), video_key("clip")[:10]):
        assert find_video(run, wanted)["entry_id"] == "clip"
    with pytest.raises(ConfigError, match="some of this run's entries: 'clip', 'other'"):
        find_video(run, "nothing")
    with pytest.raises(ConfigError, match="was never read: InputError: no such file"):
        find_video(run, "gone")


def test_making_a_report_leaves_the_run_as_it_was(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": plain_rows()})
    before = sorted(path.relative_to(tmp_path) for path in (tmp_path / "runs").rglob("*"))
    write_report(run, tmp_path / "report", None)
    assert sorted(path.relative_to(tmp_path) for path in (tmp_path / "runs").rglob("*")) == before
    assert run.verify() == []
    assert not compare_runs(run, run.again()).differs
