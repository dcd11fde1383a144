"""Our own Python that reads strangers' bytes, as functions of bytes: each ends well or raises one of its documented errors."""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import asdict
from email.message import Message
from typing import TYPE_CHECKING, Any, cast

from rumiai_ray.errors import RumiaiError
from rumiai_ray.frames.decode.parent import DecodedFrame, DecodedSound, DecodedThumbnails, _understood
from rumiai_ray.frames.decode.wire import _LENGTHS, WireError, receive, send
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.types import SourceFacts
from rumiai_ray.ingest import web
from rumiai_ray.ingest.decoding import decoder
from rumiai_ray.ingest.entries import _RowReader
from rumiai_ray.ingest.identity import Namer
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.manifest import rows as manifest_rows
from rumiai_ray.runs.commits import _digest, _unseal
from rumiai_ray.runs.ids import check_run_id
from rumiai_ray.runs.manifest import RunManifest
from synthetic_run import RUN_ID, manifest

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable

    from rumiai_ray.frames.decode.parent import Piece

FACTS = SourceFacts(
    size_bytes=1000, container="mov", video_codec="h264", audio_codec=None, width_px=4, height_px=2, rotation_deg=0, duration_s=1.0,
    fps=5.0, frames_decoded=5, frames_sampled=5, sampling_fps=5.0, stored_width_px=4, stored_height_px=2, audio_start_s=None,
    audio_duration_s=None, video_streams=1, audio_streams=0, problems=(), lost_video=(), lost_audio=(),
)  # fmt: skip
_HEADER_CHARS = 65_536
"""http.client refuses longer lines."""


class BrokenPromiseError(Exception):
    """A target has ended well and given out what it must not."""


def _need(true: bool, what: str) -> None:  # noqa: FBT001 -- as `assert`
    if not true:
        raise BrokenPromiseError(what)


def _entries(suffix: str, data: bytes) -> None:
    reader = _RowReader("m", None, None)
    ids = set[str]()
    for line, row in manifest_rows._READERS[suffix](io.BytesIO(data), f"m{suffix}", reader.inputs):
        entry = reader.entry(line, row)
        _need(entry.entry_id not in ids, "an id was given twice")
        ids.add(entry.entry_id)
        json.dumps(asdict(entry), ensure_ascii=False).encode()  # a table must be able to hold every text
        _need("\0" not in entry.entry_id + "".join(entry.columns.values()), "a NUL in a table's text")


def csv(data: bytes) -> None:
    """A CSV manifest."""
    _entries(".csv", data)


def jsonl(data: bytes) -> None:
    """A JSON-lines manifest."""
    _entries(".jsonl", data)


def text(data: bytes) -> None:
    """A text manifest."""
    _entries(".txt", data)


def parquet(data: bytes) -> None:
    """A Parquet manifest."""
    _entries(".parquet", data)


def records(data: bytes) -> None:
    """A commit record or a run's manifest: as it lies there, and with a digest that fits."""
    try:
        RunManifest.from_json(data, "run.json")
    except RumiaiError:
        _unsealed(data)
        try:
            body = json.loads(data)
            sealed = json.dumps({**body, "sha256": _digest(body)}) if isinstance(body, dict) else "[]"
        except (ValueError, RecursionError):
            raise WireError("no record") from None
        _need(_unsealed(sealed.encode()), "nothing is read")


def _unsealed(content: bytes) -> bool:
    try:
        _unseal(content, RUN_ID, 0)
    except (TypeError, ValueError) as error:
        if not str(error):
            raise BrokenPromiseError("damage without a word") from error
    return True


def names(data: bytes) -> None:
    """Inputs, ids made from them, names of runs."""
    given = data.decode(errors="surrogateescape")
    try:
        check_run_id(given)
        _need("/" not in given and not given.startswith((".", "-")), "a run id that is a path")
    except RumiaiError:
        pass
    location = locate(given)
    namer = Namer()
    first, second = namer.derive(given, "line 1"), namer.derive(given, "line 2")
    _need(first != second, "an id was given twice")
    _need(bool(first) and "/" not in first and first[0] not in ".-" and "\0" not in first, f"an id that is a path: {first!a}")
    _need(location.kind != "file" or location.address.startswith("/"), "a relative path")


def wire(data: bytes) -> None:
    """What a decoder that a video has taken over may say to its parent."""
    stream = io.BytesIO(data)
    spec = SamplingSpec()
    while (message := receive(stream.read)) is not None:
        try:
            pieces = list(_understood(*message, spec, "video"))
        except (KeyError, TypeError, ValueError) as error:
            raise WireError("nonsense") from error
        for piece in pieces:
            _fit_for_the_store(piece)


def _fit_for_the_store(piece: Piece) -> None:
    """Whether the frame store's writer and the tables behind it can hold the piece."""
    match piece:
        case DecodedFrame(source_frame, time_s, _):
            _need(
                type(source_frame) is int and abs(source_frame) < 2**63 and math.isfinite(time_s), f"a frame {source_frame!r}, {time_s!r}"
            )
        case DecodedThumbnails(times_s, jpegs):
            _need(len(times_s) == len(jpegs) and all(map(math.isfinite, times_s)), "thumbnails without times")
        case DecodedSound(samples):
            _need(len(samples) % 2 == 0, "half a sample")
        case facts:
            like = vars(FACTS) | {"audio_codec": "", "audio_start_s": 0.0, "audio_duration_s": 0.0}
            for name, value in vars(facts).items():
                optional = vars(FACTS)[name] is None or name == "fps"
                _need((value is None and optional) or type(value) is type(like[name]), f"the fact {name} is {value!r}")
            json.dumps(vars(facts), allow_nan=False, ensure_ascii=False).encode()


def headers(data: bytes) -> None:
    """Headers of a web server: Retry-After, Location, Content-Encoding with a body."""
    head, _, body = data.partition(b"\n")
    value = head[:_HEADER_CHARS].decode("latin-1")
    seconds = web._seconds(value)
    _need(seconds is None or 0 <= seconds <= web._LONGEST_WAIT_S, f"{seconds} s to wait")
    for status in (200, 302, 401, 429, 503, 999):
        web.status_error(status, "http://example.com/", value)
    answer = Message()
    answer["Location"] = ""
    answer.replace_header("Location", value)
    target = web._redirected("http://example.com/a", cast("http.client.HTTPResponse", _Answer(value)))
    _need(target.lower().startswith(("http://", "https://")), "a redirect that leaves the web")
    unpacked(body, value)


class _Answer:
    status = 302

    def __init__(self, location: str) -> None:
        self._location = location

    def getheader(self, name: str) -> str | None:
        return self._location if name == "Location" else None


def unpacked(data: bytes, encoding: str = "gzip") -> None:
    """A compressed body."""
    decode, size = decoder(encoding, "http://example.com/"), 0
    for piece in decode.feed(data):
        size += len(piece)
        _need(len(piece) <= 2**20 or encoding.strip().lower() in ("", "identity"), "a piece without bounds")
        if size > 2**24:
            return
    decode.finish()


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one for one in (csv, jsonl, text, parquet, records, names, wire, headers, unpacked)
}  # fmt: skip
EXPECTED = (RumiaiError, WireError)


def tried(name: str, data: bytes) -> str:
    """`analysed` or `refused`. Whatever else is raised is a fault of the package."""
    try:
        TARGETS[name](data)
    except EXPECTED:
        return "refused"
    return "analysed"


def seeds(name: str) -> list[bytes]:
    """Inputs to begin with, each of which reaches far into a target, and those that once broke it."""
    return [*_SEEDS[name](), *(data for target, data in FOUND if target == name)]


def _message(header: dict[str, Any], payload: bytes = b"") -> bytes:
    pipe = io.BytesIO()
    send(pipe, header, payload)
    return pipe.getvalue()


def _table() -> bytes:
    import pyarrow as pa  # noqa: PLC0415 -- most targets need no Arrow
    import pyarrow.parquet as pq  # noqa: PLC0415 -- likewise

    sink = io.BytesIO()
    pq.write_table(pa.table({"input": ["a.mp4", "b.mp4", None], "id": [1, 2, 3], "x": [[1.5], [], None]}), sink)
    return sink.getvalue()


def _record() -> bytes:
    from rumiai_ray.runs.commits import CommitRecord, seal  # noqa: PLC0415 -- beside its use

    named = {"table": "videos", "path": f"videos/part-00000000-{'a' * 32}.parquet", "rows": 1, "size_bytes": 9, "sha256": "b" * 64}
    return seal(
        CommitRecord.model_validate(
            {"run_id": RUN_ID, "sequence": 0, "writer": "w", "written_at": "2026-01-01T00:00:00Z", "files": [named], "committed": ["a"]}
        )
    )


_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "csv": lambda: [
        b'input,id,x\na.mp4,1,"two\nlines"\nhttps://h/v.mp4,2,\n', b'sep=;\nurl;id\n"a b" ;="730"\n', "input\té\nb\n".encode("utf-16"),
        b"\xef\xbb\xbfinput|y\n\xff|\x00\n",
    ],
    "jsonl": lambda: [b'{"input": "a.mp4", "id": 1, "x": [1, {"y": null}], "z": 1e400}\n', b'{"url": "\\ud800"}\n[]\n{"input": 5}\n'],
    "text": lambda: [b"# a comment\na.mp4\r\nhttps://h/v\rfile:///x\n", "a\nb".encode("utf-32")],
    "parquet": lambda: [_table()],
    "records": lambda: [_record(), manifest().to_json()],
    "names": lambda: [b"https://h:80/a/7301234567890/v.mp4?x#y", b"file:///a%20b", b"~/v.mp4", b"s3://b/k", b"20261122T150712Z-3f9a1c", b"http://[::1]/",
        b"a b://[c",  # broke the naming once: a file's name that is no URL
    ],
    "wire": lambda: [
        _message({"kind": "frame", "source_frame": 0, "time_s": 0.5, "height_px": 2, "width_px": 4}, bytes(24)),
        _message({"kind": "thumbnails", "time_s": [0.0, 0.2], "height_px": 1, "width_px": 2}, bytes(12)),
        _message({"kind": "sound"}, bytes(8)) + _message({"kind": "done", "facts": asdict(FACTS)}),
        _message({"kind": "error", "what": "broken", "hint": "get another"}),
    ],
    "headers": lambda: [b"120\n", b"Wed, 21 Oct 2026 07:28:00 GMT\nx", b"/b?c#d\n", b"https://h.example:444/\xc3\xa9\n", b"gzip\n\x1f\x8b"],
    "unpacked": lambda: [__import__("gzip").compress(b"video" * 9), __import__("zlib").compress(bytes(5000))],
}  # fmt: skip


def _of_length(header: bytes) -> bytes:
    return _LENGTHS.pack(len(header), 0) + header


FOUND: list[tuple[str, bytes]] = [
    ("csv", b"\x0c\na\n"),
    ("csv", "\xa0,\xa0\nb\n".encode()),
    ("records", b'{"a":' + b"[" * 100_000),
    ("wire", _of_length(b"[" * 100_000)),
    ("wire", _message({"kind": "frame", "source_frame": "x", "time_s": None, "height_px": 1, "width_px": 1}, bytes(3))),
    ("wire", _message({"kind": "thumbnails", "time_s": "ab", "height_px": 1, "width_px": 1}, bytes(6))),
    ("wire", _message({"kind": "thumbnails", "time_s": [0.0], "height_px": 1, "width_px": 1}, bytes(6))),
    ("wire", _message({"kind": "sound"}, b"odd")),
    ("wire", _message({"kind": "error", "what": {}, "hint": 3})),
    ("wire", _message({"kind": "done", "facts": asdict(FACTS) | {"duration_s": "long"}})),
    ("wire", _of_length(b'{"kind": "frame", "source_frame": 0, "time_s": NaN, "height_px": 0, "width_px": 0}')),
    ("headers", b"http://[::1\n"),
    ("headers", b"//[\n"),
]
"""What broke a target once."""


def digest_of(data: bytes) -> str:
    """A short name for an input."""
    return hashlib.sha256(data).hexdigest()[:16]
