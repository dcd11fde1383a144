"""Whatever a platform or a manifest says, every entry ends as committed Parquet rows: from the text that enters to the run on disk."""

from __future__ import annotations

import csv
import io
import json
import math
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fakes import plan as fake_plan
from numbered_clips import numbered_clip
from poison import INFOS, UnreadableError
from rumiai_ray.config import load_config
from rumiai_ray.engine.cell.messages import Failure, Index, Outcome
from rumiai_ray.engine.results.commit_task import Target, write_group
from rumiai_ray.engine.results.entry_tracker import Settled
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, thresholds
from rumiai_ray.engine.work.entry_reader import Stage
from rumiai_ray.engine.work.entry_rows import dead_letter_row
from rumiai_ray.engine.work.item import decode, encode
from rumiai_ray.errors import InputError, MediaError, TransientError
from rumiai_ray.ingest.cleaning import INT64_MAX, TEXT_CHARS
from rumiai_ray.ingest.entries import Entry, entries_from_inputs, read_manifest
from rumiai_ray.ingest.local import local_video
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.sites.metadata import metadata_from
from rumiai_ray.ingest.sites.post_facts import AUTOMATIC_SUBTITLES, IS_AD, MENTIONS, SOUND_ID, SUBTITLES
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.reader import Run, open_run
from rumiai_ray.runs.writer import RunWriter
from synthetic_run import RUN_ID, manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from rumiai_ray.ingest.limits import FetchLimits
    from rumiai_ray.ingest.video import FetchedVideo

CHARACTERS = st.characters(exclude_categories=())
"""Every code point, lone surrogates and NUL among them."""
TEXTS = st.one_of(
    st.text(CHARACTERS), st.text(CHARACTERS, min_size=300, max_size=1000), st.sampled_from(["", " ", "\0", "\ud800", "😀\udc00"])
)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), 2**64]),
    st.floats(),
    st.booleans(),
)
VALUES = st.recursive(
    st.one_of(st.none(), TEXTS, NUMBERS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)
KEYS = (
    "title", "description", "uploader", "uploader_id", "channel", "tags", "timestamp", "view_count", "like_count", "comment_count",
    "repost_count", "webpage_url", "save_count", "track", "artists", "duration", "width", "height", "subtitles", "automatic_captions",
    "language", "extractor_key", "ie_key", SOUND_ID, IS_AD, MENTIONS, SUBTITLES, AUTOMATIC_SUBTITLES,
)  # fmt: skip
DESCRIPTIONS = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, VALUES))
COUNTS = {
    "view_count": "view_count", "like_count": "like_count", "comment_count": "comment_count", "share_count": "repost_count",
    "save_count": "save_count",
}  # fmt: skip

often = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class Bench:
    """A frame store with one clip, and runs that are written as a batch writes them, without Ray."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._runs = 0
        self._infos: Mapping[str, Mapping[str, Any]] = {}
        self.clip = numbered_clip(place / "clip.mkv", 7, frames=2)
        self._config = load_config(flags={"store": str(place / "store"), "out": str(place / "runs")})
        self._store = open_store(self._config)
        self._store.ensure(self.clip, sha256(self.clip.read_bytes()).hexdigest()).close()

    def run(self, entries: Iterable[Entry], infos: Mapping[str, Mapping[str, Any]] | None = None) -> Run:
        """A run over `entries`: each through its Parquet copy, the stage, a row of work and a writing task, then committed.

        Args:
            entries: what to read; web addresses and stores end in a TransientError, nothing is asked.
            infos: what the platform says, by entry id.
        """
        self._runs += 1
        self._infos = infos or {}
        given = list(EntryFile.of(entries))
        writer = RunWriter.create(self._place / f"runs{self._runs}", manifest())
        cut = thresholds(self._config)
        stage = Stage(RUN_ID, (), self._store, fetch_limits(self._config), self._place, 4, cut)
        with patch("rumiai_ray.engine.work.entry_reader.fetch", self._fetch):
            works = [work for entry in given for work in stage.work_of(entry, lambda _key, _entry: True)]
        headers = [decode(encode([work]), 0).header for work in works]
        settled = [Settled(header) for header in headers if header is not None]
        target = Target(writer.run, RUN_ID, (), writer.tables, cut)
        # Equal bytes would be one video: here each entry is written by itself.
        written = [write_group(target, [one], writer.next_sequence, 60) for one in settled]
        for one in written:
            writer.commit_files(one.files, one.committed, one.dead_lettered)
        writer.finish("complete", {})
        run = open_run(writer.run.uri())
        assert list(run.entries()) == [entry.entry_id for entry in given]
        for table in ("videos", "dead_letter"):  # read and decoded: Arrow checks UTF-8 only when it is asked to
            run.table(table).validate(full=True)
        return run

    @contextmanager
    def _fetch(self, entry: Entry, limits: FetchLimits, _workdir: Path, **_: object) -> Iterator[FetchedVideo]:
        entry.check()
        location = locate(entry.location or entry.input)
        if location.kind != "file":
            raise TransientError("no network in this test", entry.input, "none is wanted")
        video = local_video(location.address, limits)
        info = self._infos.get(entry.entry_id)
        yield video if info is None else replace(video, metadata=metadata_from(info, "https://h/post"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    # Hundreds of runs are written: waiting for the disk would take minutes, and no crash is tested here.
    with patch("os.fsync"):
        yield Bench(tmp_path_factory.mktemp("bench"))


def is_fit(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


@often
@given(info=DESCRIPTIONS)
def test_whatever_a_platform_says_the_video_is_committed_and_every_change_is_noted(bench: Bench, info: dict[str, Any]) -> None:
    check_platform(bench, info)


def test_every_key_that_is_read_of_a_description_has_values_of_every_kind_here() -> None:
    read = set()

    class Description(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return super().get(key, default)

    metadata_from(Description(), "https://h/post")
    assert read == set(KEYS)


@pytest.mark.parametrize("name", sorted(INFOS.keys() - {"long", "pair"}))
def test_what_platforms_were_seen_to_say_is_committed(bench: Bench, name: str) -> None:
    check_platform(bench, INFOS[name])


def check_platform(bench: Bench, info: Mapping[str, Any]) -> None:
    """The video is committed; what fits a table is kept as it is, what does not is noted."""
    run = bench.run([Entry("one", str(bench.clip))], {"one": info})
    (row,) = run.table("videos").to_pylist()
    assert run.table("dead_letter").num_rows == 0
    for name in ("title", "description"):
        said = info.get(name)
        if not isinstance(said, str):
            assert row[name] is None
        elif is_fit(said):
            assert row[name] == said
        else:
            assert row[name] != said
            joined = said.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "�")
            assert row[name] == joined
            assert any(note.startswith(f"{name}: ") for note in row["notes"]) == ("�" in joined.replace("�", "", said.count("�")))
    for column, name in COUNTS.items():
        said = info.get(name)
        if isinstance(said, bool) or not isinstance(said, int | float) or (isinstance(said, float) and math.isnan(said)) or said < 0:
            assert row[column] is None
            assert said is None or any(note.startswith(f"{column}: ") for note in row["notes"])
        else:
            assert row[column] == (INT64_MAX if said > INT64_MAX else int(said))
            assert (said > INT64_MAX) == any(note.startswith(f"{column}: ") for note in row["notes"])


def test_texts_are_cut_at_their_limits_and_a_broken_pair_is_put_together(bench: Bench) -> None:
    entries = [Entry(name, str(bench.clip)) for name in ("long", "pair", "ages")]
    rows = {row["entry_id"]: row for row in bench.run(entries, INFOS).table("videos").to_pylist()}
    assert len(rows["long"]["title"]) == TEXT_CHARS
    assert "title: cut to 100,000 of 60,000,000 characters" in rows["long"]["notes"]
    assert "hashtags: 1,000 of 3,000 kept" in rows["long"]["notes"]
    assert (rows["pair"]["title"], rows["pair"]["notes"]) == ("😀 whole", [])
    assert rows["ages"]["source_url"] == "https://h/post"


def csv_bytes(rows: Sequence[Sequence[str]], separator: str) -> bytes:
    sink = io.StringIO()
    csv.writer(sink, delimiter=separator).writerows(rows)
    return sink.getvalue().encode(errors="surrogatepass")


def check_manifest(bench: Bench, folder: Path, name: str, content: bytes, *, good: bool) -> None:
    """The manifest is refused as a whole by an InputError, or all of its rows are in a run; with `good`, clip.mkv is committed."""
    path = folder / name
    path.write_bytes(content)
    try:
        entries = list(read_manifest(str(path)))
    except InputError:
        if good:
            raise
        return
    run = bench.run(entries)
    dead = {row["entry_id"]: row for row in run.table("dead_letter").to_pylist()}
    for entry in entries:
        if entry.problem is not None:
            row = dead[entry.entry_id]
            assert row["error_class"] == "ManifestRowError"
            assert row["manifest_line"] == entry.line
            counted = "row" if name.endswith((".json", ".parquet")) else "line"
            assert f"{name}, {counted} {entry.line}: " in row["error_message"]
    if good:
        assert str(bench.clip) in run.table("videos")["input"].to_pylist()


CELLS = st.one_of(
    TEXTS,
    st.sampled_from(["http://u:p@h/x", "ftp://h/x", "http:///x", "s3://b/k", "~", "~/x", '"', "'a'", "7.3E+18", "/", ".", "file://[/x"]),
)


@often
@given(rows=st.lists(st.lists(CELLS, max_size=4), max_size=4), separator=st.sampled_from(",;\t|"))
def test_whatever_stands_in_a_csv_manifest_its_good_row_is_committed(bench: Bench, tmp_path: Path, rows: Any, separator: str) -> None:
    table = [["id", "url", "caption"], ["the good one", str(bench.clip), "fine"], *rows]
    check_manifest(bench, tmp_path, "m.csv", csv_bytes(table, separator), good=True)


ROWS = st.one_of(VALUES, st.dictionaries(st.one_of(st.sampled_from(["id", "url", "input"]), TEXTS), VALUES, max_size=4))
"""What may stand where a row of a JSON manifest is expected."""


@often
@given(rows=st.lists(ROWS, max_size=4))
def test_whatever_stands_in_json_lines_the_good_row_is_committed(bench: Bench, tmp_path: Path, rows: list[Any]) -> None:
    lines = [json.dumps({"id": "the good one", "url": str(bench.clip)}), *map(json.dumps, rows), "1" * 5000]
    check_manifest(bench, tmp_path, "m.jsonl", "\n".join(lines).encode(), good=True)


@often
@given(rows=st.lists(ROWS, max_size=4), shape=st.sampled_from(["array", "one after another", "around an array"]))
def test_whatever_stands_in_a_json_manifest_its_good_row_is_committed(bench: Bench, tmp_path: Path, rows: list[Any], shape: str) -> None:
    good = {"id": "the good one", "url": str(bench.clip)}
    if shape == "one after another":
        content = " ".join(map(json.dumps, [good, *rows]))
    elif shape == "array":
        content = json.dumps([good, *rows])
    else:  # what is no object beside the rows makes the list something else than rows
        content = json.dumps({"count": 5, "data": [good, *(row for row in rows if isinstance(row, dict))]})
    check_manifest(bench, tmp_path, "m.json", content.encode(), good=True)


@often
@given(texts=st.lists(CELLS, max_size=5))
def test_whatever_stands_in_a_text_list_the_good_line_is_committed(bench: Bench, tmp_path: Path, texts: list[str]) -> None:
    content = "\n".join([str(bench.clip), *texts]).encode(errors="surrogatepass")
    check_manifest(bench, tmp_path, "m.txt", content, good=True)


@often
@given(
    captions=st.lists(st.one_of(st.none(), st.text(max_size=20)), min_size=2, max_size=4),
    blobs=st.lists(st.binary(max_size=20), min_size=4, max_size=4),
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4),
    decimals=st.lists(st.decimals("-1e20", "1e20", places=5), min_size=4, max_size=4),
    urls=st.lists(st.one_of(st.just(b"/v/x"), st.binary(max_size=20)), min_size=3, max_size=3),
)
def test_whatever_stands_in_a_parquet_manifest_its_good_row_is_committed(
    bench: Bench, tmp_path: Path, captions: Any, blobs: list[bytes], numbers: list[int], decimals: list[Decimal], urls: list[bytes]
) -> None:
    count = len(captions)
    columns = {
        "url": pa.array([str(bench.clip).encode(), *urls[: count - 1]], pa.binary()).view(pa.string()),
        "caption": pa.array(captions, pa.string()),
        "blob": pa.array(blobs[:count]),
        "text": pa.array(blobs[:count], pa.binary()).view(pa.string()),
        "number": pa.array(numbers[:count]),
        "age": pa.array(numbers[:count], pa.timestamp("ms")),
        "nanos": pa.array(numbers[:count], pa.timestamp("ns")),
        "id": pa.array(decimals[:count], pa.decimal128(38, 5)),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    good = len({str(value) for value in decimals[:count]}) == count
    check_manifest(bench, tmp_path, "m.parquet", sink.getvalue(), good=good)


@often
@given(
    content=st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode("utf-16"))),
    name=st.sampled_from(["m.csv", "m.tsv", "m.jsonl", "m.json", "m.txt", "m.parquet"]),
    head=st.sampled_from([b"", b"url,id\n", b"\xff\xfe", b"\xff\xfe\0\0", b"PAR1", b'{"url": "', b'url\n"', b'[{"url": "', b'{"data": [{']),
)
def test_any_bytes_are_a_manifest_or_refused_with_a_reason(bench: Bench, tmp_path: Path, content: bytes, name: str, head: bytes) -> None:
    check_manifest(bench, tmp_path, name, head + content, good=False)


@often
@given(texts=st.lists(CELLS, min_size=1, max_size=3))
def test_any_arguments_are_entries_or_refused_with_a_reason(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assume(not any(text.strip().strip("'\"").startswith(("~", "/", ".")) for text in texts))  # folders of this machine
    try:
        entries = entries_from_inputs(texts)
    except InputError as error:
        told = str(error)
    else:
        told = ""
        bench.run(entries)
    assert not told or "argument " in told


@often
@given(message=TEXTS, name=st.text(CHARACTERS, min_size=1).filter(lambda name: "\0" not in name), attempts=st.integers(1, 2**80), key=TEXTS)
def test_a_dead_letter_can_be_written_of_any_error(message: str, name: str, attempts: int, key: str) -> None:
    named = MediaError(message, key, message)
    named.attempts = attempts
    kind = type("Odd", (Exception,), {})
    kind.__name__ = name if is_fit(name) else "Odd"
    for error in (named, kind(message, {key: attempts}), UnreadableError(), RecursionError(), kind(kind(kind))):
        row = dead_letter_row("run", Entry(key, key), None, "ingest", error)
        row.validate(full=True)
        assert row.num_rows == 1


def test_a_model_whose_message_no_table_can_hold_costs_the_video_nothing_else() -> None:
    from rumiai_ray.engine.results.assemble import assemble  # noqa: PLC0415 -- it imports the insights
    from rumiai_ray.engine.work.item import Sampled, VideoPlan  # noqa: PLC0415

    said = "I read \ud800\0 in it"
    outcome = Outcome(1, None, 0, (), 0.0, (), Failure("Odd\ud800", said), notes=(said,))
    plan = VideoPlan("v", {"eye": 1}, (), {}, (), (), 1, Sampled(0.2, 64, 48, (0.0,), (0.2,)))
    tables = assemble("run", plan, [fake_plan("eye")], [(Index("e", "v", 0, 1, {"eye": outcome}), {})], thresholds(load_config()))
    (row,) = tables["analyses"].to_pylist()
    assert (row["error_class"], row["error_message"]) == ("Odd�", "I read �� in it")
