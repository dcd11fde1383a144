"""A run's report as files: `index.html`, and under `videos/` a page for each video. Each file stands alone; only links join them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.report.cohort_page import cohort_page
from rumiai_ray.report.corpus_page import corpus_page
from rumiai_ray.report.render import render
from rumiai_ray.report.rows import RunRows
from rumiai_ray.report.run_page import run_page
from rumiai_ray.report.video_page import video_page
from rumiai_ray.runs.export.document import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from rumiai_ray.corpus.cohorts.compare import CohortComparison
    from rumiai_ray.corpus.cohorts.correlate import MetricCorrelations
    from rumiai_ray.corpus.cohorts.over_time import MetricOverTime
    from rumiai_ray.corpus.reader import Corpus
    from rumiai_ray.frames.store.store import FrameStore
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.schema.table import Row

INDEX = "index.html"
MOST_FRAMES = 120
"""Pictures on a video's page: every sampled frame of a video of 24 s, and 3 MB of page."""
MOST_PAGES = 200
"""Pages of videos in a run's report; any other video's page can be asked for by name."""


@dataclass(frozen=True)
class ReportSize:
    """How much is written."""

    frames: int = MOST_FRAMES
    pages: int = MOST_PAGES


def write_report(
    run: Run,
    directory: Path,
    store: FrameStore | None,
    limits: ReportSize = ReportSize(),
    told: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write the report of a run.

    Args:
        run: the run.
        directory: new or empty.
        store: where sampled frames are; None to go without pictures.
        limits: how much.
        told: is called with the name of each video before its page is made.

    Returns:
        The files written, `index.html` first.

    Raises:
        ConfigError: `directory` is not empty.
        StorageError: the run is damaged, or the directory cannot be written.
    """
    rows = RunRows(run)
    videos = {video["video_key"]: video for video in reversed(rows.videos)}
    chosen = [video for video in rows.videos if videos[video["video_key"]] is video][: limits.pages]
    names = {video["video_key"]: f"videos/{file_name(video['entry_id'])}.html" for video in chosen}
    posters: dict[str, str | None] = {}
    written = [directory / INDEX]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise ConfigError("not empty", str(directory), "choose a new directory: pages of two reports must not mix")
        (directory / "videos").mkdir()
        for video in chosen:
            told(video["input"])
            page = video_page(rows, video, store, limits.frames)
            posters[video["video_key"]] = page.strip.poster
            path = directory / names[video["video_key"]]
            _create(path, render("video.html", page, home=f"../{INDEX}"))
            written.append(path)
        # As a link in HTML: what is percent-encoded in the file's name is so once more.
        links = {key: name.replace("%", "%25") for key, name in names.items()}
        _create(written[0], render("run.html", run_page(rows, posters, links)))
    except OSError as error:
        raise StorageError(
            f"cannot write the file: {error.strerror}", str(error.filename or directory), "choose another directory"
        ) from error
    return written


def pages_about(run_id: str, entries: Iterable[str], place: Path) -> list[Path]:
    """The pages in a directory, under the names that `rumiai-ray report` gives where none is asked for, that show some entries.

    Args:
        run_id: the run.
        entries: ids of the entries.
        place: where `rumiai-ray report` may have been called.

    Returns:
        Pages of single entries, and every page of the run's report: its index shows all entries. A file that says nothing of the run is
        somebody's own, whatever its name is: the run's id may be a stranger's choice.

    Raises:
        StorageError: a file of such a name cannot be read.
    """
    report = place / f"{run_id}-report"
    alone = [place / f"{run_id}-{file_name(entry_id)}.html" for entry_id in sorted(entries)]
    whole = [report / INDEX, *sorted((report / "videos").glob("*.html"))] if (report / INDEX).is_file() else []
    return [path for path in (*alone, *whole) if path.is_file() and not path.is_symlink() and _is_of(run_id, path)]


def _is_of(run_id: str, path: Path) -> bool:
    """Whether a file is a page about a run: its foot says so, as `base.html` has it."""
    try:
        page = path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror}", str(path), "remove it yourself, then run `corpus forget` again") from error
    return b"<footer>rumiai_ray " in page and f"run <code>{run_id}</code>".encode() in page


def write_video(run: Run, wanted: str, path: Path, store: FrameStore | None, limits: ReportSize = ReportSize()) -> Path:
    """Write the page of one video as one file.

    Args:
        run: the run.
        wanted: see `find_video`.
        path: the file, which must not be there yet.
        store: where sampled frames are; None to go without pictures.
        limits: how much.

    Raises:
        ConfigError: there is no such video, or the file is there.
        StorageError: the run is damaged, or the file cannot be written.
    """
    video = find_video(run, wanted)
    write_new(path, render("video.html", video_page(RunRows(run, video["video_key"]), video, store, limits.frames)))
    return path


def write_new(path: Path, page: str) -> None:
    """Write a page as a file of its own.

    Args:
        path: the file, which must not be there yet.
        page: its HTML.

    Raises:
        ConfigError: the file is there.
        StorageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _create(path, page)
    except FileExistsError as error:
        raise ConfigError("already exists", str(path), "choose another name") from error
    except OSError as error:
        raise StorageError(f"cannot write the file: {error.strerror}", str(error.filename or path), "choose another place") from error


def write_cohorts(found: CohortComparison | MetricCorrelations | MetricOverTime, runs: Sequence[str], path: Path) -> None:
    """Write the page of a comparison as one file; see `cohort_page`.

    Args:
        found: what was found.
        runs: ids of the runs of the corpus.
        path: the file, which must not be there yet.

    Raises:
        ConfigError: the file is there.
        StorageError: it cannot be written.
    """
    write_new(path, render("cohorts.html", cohort_page(found, runs)))


def write_corpus(corpus: Corpus, path: Path, *, title: str, by: str | None = None, top: str = "25%") -> None:
    """Write the page of a corpus as one file; see `corpus_page`.

    Args:
        corpus: the runs.
        path: the file, which must not be there yet.
        title: heading.
        by: the metric by which cohorts are compared.
        top: how much of them is the first cohort.

    Raises:
        ConfigError: the file is there, or the metric cannot be asked for.
        StorageError: a run is damaged, or the file cannot be written.
    """
    if path.exists():
        raise ConfigError("already exists", str(path), "choose another name")
    write_new(path, render("corpus.html", corpus_page(corpus, title=title, by=by, top=top)))


def find_video(run: Run, wanted: str) -> Row:
    """The row of `videos` that is meant.

    Args:
        run: the run.
        wanted: its entry's id, its input, or the beginning of its key.

    Raises:
        ConfigError: none is meant, or more than one; or it is a dead letter, and the message says why.
    """
    videos: list[Row] = run.table("videos").to_pylist(maps_as_pydicts="lossy")
    exact = [video for video in videos if wanted in {video["entry_id"], video["input"], video["video_key"]}]
    found = exact or [video for video in videos if wanted and video["video_key"].startswith(wanted)]
    if found and len({video["video_key"] for video in found}) == 1:
        return found[0]
    for dead in run.table("dead_letter").to_pylist():
        if wanted in {dead["entry_id"], dead["input"]}:
            raise ConfigError(
                f"was never read: {dead['error_class']}: {dead['error_message']}", repr(wanted), "it is a dead letter of this run"
            )
    names = ", ".join(repr(video["entry_id"]) for video in (found or videos)[:5])
    raise ConfigError(f"{len(found) or 'no'} videos match", repr(wanted), f"some of this run's entries: {names}")


def _create(path: Path, page: str) -> None:
    """Write a new file: never over one that is there, never through a link."""
    with path.open("x", encoding="utf-8") as file:
        file.write(page)
