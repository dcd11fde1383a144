"""The report in a real browser: what a video says stays text, nothing is fetched, and the page does what it is for."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from chromium import evaluated, rendered
from report_run import analysis_row, plain_rows, text_row, video_row, word_rows, write_run
from rumiai_ray.config import load_config
from rumiai_ray.engine.setup.run_setup import open_store
from rumiai_ray.frames.store.files import sha256_of
from rumiai_ray.report.rows import RunRows
from rumiai_ray.report.write import ReportSize, write_report, write_video
from synthetic_clips import make_clip

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from report_run import Analysed
    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.runs.reader import Run


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine: its address, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name in the library
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def seen(workplace: Path, times_s: Sequence[float], until_s: float) -> tuple[Run, FrameStore]:
    """A run over a clip that shows a new picture at each of these times, with sound until `until_s`; and the store with its frames."""
    clip = make_clip(workplace / "clip.mp4", times_s, sound_from_to_s=[(0, until_s)])
    store = open_store(load_config(None, {"store": str(workplace / "store")}))
    key = sha256_of(clip)
    with store.ensure(clip, key) as stored:
        facts, frames = stored.facts, stored.key
    video = video_row(
        "clip", input=str(clip), frames_key=frames, width_px=facts.width_px, height_px=facts.height_px, duration_s=facts.duration_s,
        frames_decoded=len(times_s), frames_sampled=facts.frames_sampled,
    )  # fmt: skip
    return write_run(workplace / "runs", {"clip": {"videos": [video]}}, keys={"clip": key}), store


def test_a_video_that_speaks_html_changes_nothing_and_reaches_nobody(tmp_path: Path) -> None:
    with listener() as (address, asked):
        hostile = (
            f"</title></style></textarea><script>document.title='owned'</script>"
            f"<img src='{address}/image' onerror=\"document.title='owned'\"><link rel=stylesheet href='{address}/style'>"
            f"<iframe src='{address}/frame'></iframe><meta http-equiv=refresh content='0;url={address}'>"
        )
        video = video_row("clip", input=f"x/{hostile}", title=hostile, description=hostile, columns=[("note", hostile)])
        rows = {"videos": [video], "texts": [text_row(0, hostile)], **word_rows([hostile, "fine"])}
        index, page = write_report(write_run(tmp_path / "runs", {"clip": rows}), tmp_path / "report", None)
        for file in (page, index):
            document = rendered(file)
            assert "<title>owned" not in document
            assert not re.search(r"<(iframe|link rel=.?stylesheet|img src=.?http|meta http-equiv=.?refresh)", document)
            assert "document.title='owned'" in unescape(document), "it is there, to be read"
        assert asked == []


def test_the_timeline_shows_the_frame_and_the_words_of_the_moment(analysed: Analysed, tmp_path: Path) -> None:
    document = rendered(write_video(analysed.run, "clip", tmp_path / "page.html", analysed.store), anchor="t=1.4")
    assert re.search(r'<output id="time"[^>]*>1.40 s</output>', document)
    assert re.search(r'id="playhead"[^>]*style="left: 70%;"', document)
    assert re.search(r"<dl id=\"facts\"[^>]*><dt>objects</dt><dd>dog</dd></dl>", document)
    chosen = re.search(r'<button type="button" data-t="1.4"[^>]*aria-current="true"><img src="([^"]+)"', document)
    screen = re.search(r'<img id="screen" src="([^"]+)"', document)
    assert chosen
    assert screen
    assert chosen[1] == screen[1]
    assert document.count("<li><button") == 10


def test_words_are_marked_while_they_are_spoken(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {"clip": plain_rows()})
    document = rendered(write_video(run, "clip", tmp_path / "page.html", None), anchor="t=1.7")
    said = re.search(r'<p id="said"[^>]*>(.*?)</p>', document)
    assert said
    assert said[1] == "<span>hello </span><mark>there </mark>"


def test_the_videos_are_sorted_by_a_click_with_absent_figures_last_and_found_by_typing(tmp_path: Path) -> None:
    silent = analysis_row("whisper", "skipped", detail="no audio stream")
    entries = {
        "short": {"videos": [video_row("short", duration_s=2.0)], **word_rows(["a", "b", "c"])},
        "long": {"videos": [video_row("long", duration_s=30.0)], **word_rows(["a"])},
        "middle": {"videos": [video_row("middle", duration_s=10.0)], "analyses": [silent]},
    }  # fmt: skip
    index = write_report(write_run(tmp_path / "runs", entries), tmp_path / "report", None)[0]
    names = "[...document.querySelectorAll('#videos tbody tr:not([hidden]) th')].map((cell) => cell.textContent.trim())"
    click = "[...document.querySelectorAll('#videos thead button')].find((button) => button.textContent === '{}').click()"
    find = "{ const field = document.getElementById('find'); field.value = 'MID'; field.dispatchEvent(new Event('input')); }"
    clicks = [click.format("length"), names, click.format("words"), names, click.format("words"), names, find, names]
    _, by_length, _, by_words, _, by_words_down, _, found = evaluated(index, *clicks)
    assert by_length == ["short.mp4", "middle.mp4", "long.mp4"]
    assert by_words == ["long.mp4", "short.mp4", "middle.mp4"]
    assert by_words_down == ["short.mp4", "long.mp4", "middle.mp4"]
    assert found == ["middle.mp4"]


def test_typing_finds_what_a_row_says_and_not_how_its_page_is_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", {name: {} for name in ("one", "two", "three")})
    index = write_report(run, tmp_path / "report", None, ReportSize(pages=1))[0]
    names = "[...document.querySelectorAll('#videos tbody tr:not([hidden])')].map((row) => row.cells[0].title)"
    find = "{{ const field = document.getElementById('find'); field.value = '{}'; field.dispatchEvent(new Event('input')); }}"
    answers = evaluated(index, *(said for wanted in ("report", "three.mp4", "complete") for said in (find.format(wanted), names)))
    assert answers[1] == []
    assert [name.rpartition("/")[2] for name in answers[3]] == ["three.mp4"]
    assert len(answers[5]) == 3


def test_the_keyboard_moves_from_frame_to_frame(analysed: Analysed, tmp_path: Path) -> None:
    press = "document.getElementById('scrub').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}))"
    time = "document.getElementById('time').textContent"
    page = write_video(analysed.run, "clip", tmp_path / "page.html", analysed.store)
    assert evaluated(page, time, press, time, press, time)[::2] == ["0.00 s", "0.20 s", "0.40 s"]


def test_a_moment_without_a_picture_says_so_and_another_frames_findings_are_not_shown_as_its_own(
    analysed: Analysed, tmp_path: Path
) -> None:
    page = write_video(analysed.run, "clip", tmp_path / "page.html", analysed.store, ReportSize(frames=2))
    go = "{{ const scrub = document.getElementById('scrub'); scrub.value = {}; scrub.dispatchEvent(new Event('input')); }}"
    shown, facts = "document.getElementById('shown').textContent", "document.getElementById('facts').textContent"
    dimmed = "document.getElementById('screen').className"
    asked = [said for time_s in (1.8, 1.7, 1.0, 2.0) for said in (go.format(time_s), shown, facts, dimmed)]
    answers = evaluated(page, *asked)
    assert answers[1:4] == ["", "objectsdog", ""]
    assert answers[5:8] == ["The frame shown is that of 1.80 s.", "objectsdog", ""]
    assert answers[9:12] == ["There is no picture of this moment. The nearest one, of 1.80 s, is shown dimmed.", "", "elsewhere"]
    assert answers[13:16] == ["The frame shown is that of 1.80 s.", "objectsdog", ""], "the last frame stays on the screen"


def shown_at(page: Path, *times_s: float) -> list[tuple[bool, str, str]]:
    """Of each moment: whether the picture is dimmed, what is said of it, and the time of the frame that is chosen."""
    go = "{{ const scrub = document.getElementById('scrub'); scrub.value = {}; scrub.dispatchEvent(new Event('input')); }}"
    dimmed, said = "document.getElementById('screen').className === 'elsewhere'", "document.getElementById('shown').textContent"
    chosen = "document.querySelector('#sheet [aria-current]').dataset.t"
    answers = evaluated(page, *(step for time_s in times_s for step in (go.format(time_s), dimmed, said, chosen)))
    return [tuple(answers[at + 1 : at + 4]) for at in range(0, len(answers), 4)]


def test_a_picture_that_is_held_is_the_picture_of_every_moment_until_the_next_one(tmp_path: Path) -> None:
    run, store = seen(tmp_path, [0.0, 3.0, 3.5, 6.0], 8.0)
    page = write_video(run, "clip", tmp_path / "page.html", store)
    held = shown_at(page, 0.0, 1.6, 2.9, 3.0, 3.4, 5.9, 6.0)
    assert [chosen for _, _, chosen in held] == ["0.0", "0.0", "0.0", "3.0", "3.0", "3.5", "6.0"]
    assert not any(dimmed for dimmed, _, _ in held)
    assert [said for _, said, _ in held[:3]] == ["", *2 * ["The frame shown is that of 0.00 s."]]


def test_the_last_picture_of_a_slide_show_stays_until_the_end(tmp_path: Path) -> None:
    run, store = seen(tmp_path, [0.0, 1.0], 4.0)
    (video,) = RunRows(run).videos
    with store.open(video["frames_key"]) as stored:
        until_s = float(stored.shown_until_s[-1])
    page = write_video(run, "clip", tmp_path / "page.html", store)
    assert shown_at(page, (1.0 + until_s) / 2, until_s) == 2 * [(False, "The frame shown is that of 1.00 s.", "1.0")]


def test_a_page_with_some_of_the_held_pictures_says_where_it_has_none_and_names_the_nearest(tmp_path: Path) -> None:
    run, store = seen(tmp_path, [0.0, 3.0, 6.0], 8.0)
    page = write_video(run, "clip", tmp_path / "page.html", store, ReportSize(frames=2))
    before, early, late, after = shown_at(page, 2.9, 3.2, 5.5, 6.1)
    none = "There is no picture of this moment. The nearest one, of {} s, is shown dimmed."
    assert (before[0], before[2], after[0], after[2]) == (False, "0.0", False, "6.0")
    assert early == (True, none.format("0.00"), "0.0"), "it was on the screen until a moment ago"
    assert late == (True, none.format("6.00"), "6.0")


def test_between_the_samples_of_a_fast_video_the_nearest_picture_is_shown(tmp_path: Path) -> None:
    run, store = seen(tmp_path, [number / 30 for number in range(60)], 2.0)
    page = write_video(run, "clip", tmp_path / "page.html", store)
    answers = shown_at(page, 0.02, 0.09, 0.12, 0.21, 1.99)
    assert [(dimmed, round(float(chosen), 2)) for dimmed, _, chosen in answers] == [
        (False, time_s) for time_s in (0.0, 0.0, 0.2, 0.2, 1.97)
    ]  # fmt: skip
