"""Inputs for the functions of `hostile_targets`: some that reach far into each, and every one that once broke something."""

from __future__ import annotations

import gzip
import hashlib
import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from hostile_targets import FACTS, TARGETS
from rumiai_ray.frames.decode.wire import _LENGTHS, send
from rumiai_ray.frames.store.entry import CompletionRecord
from rumiai_ray.runs.commits import CommitRecord, seal
from synthetic_run import RUN_ID, manifest

if TYPE_CHECKING:
    from collections.abc import Callable


def seeds(name: str) -> list[bytes]:
    """Inputs for a function that reach its end, and those that once broke it."""
    return [*_SEEDS[name](), *(data for function, data in FOUND if function == name)]


def seeds_of_target(target: str) -> list[bytes]:
    """Inputs for a target of the fuzzing: those of its functions, each behind the byte that chooses the function."""
    return [bytes([number]) + data for number, name in enumerate(TARGETS[target]) for data in seeds(name)]


def _message(header: dict[str, Any], payload: bytes = b"") -> bytes:
    pipe = io.BytesIO()
    send(pipe, header, payload)
    return pipe.getvalue()


def _table() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"input": ["a.mp4", "b.mp4", None], "id": [1, 2, 3], "x": [[1.5], [], None]}), sink)
    return sink.getvalue()


def _record() -> bytes:
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
    "json_values": lambda: [
        b'[{"input": "a.mp4", "id": 1, "x": [1, {"y": null}], "z": 1e400}, {"url": "\\ud800"}, [], 5]',
        b'\xef\xbb\xbf{"url": "a.mp4"} {"input": 5}\n{"url": "b.mp4", "id": "b"}',
        b'{"count": 2, "data": [{"Video URL": "https://h/v.mp4", "id": "\\u0000"}, {}]}',
        '[{"input": "\xe9.mp4"}]'.encode("utf-16"),
    ],
    "text": lambda: [b"# a comment\na.mp4\r\nhttps://h/v\rfile:///x\n", "a\nb".encode("utf-32")],
    "parquet": lambda: [_table()],
    "records": lambda: [_record(), manifest().to_json()],
    "names": lambda: [b"https://h:80/a/7301234567890/v.mp4?x#y", b"file:///a%20b", b"~/v.mp4", b"s3://b/k", b"20261122T150712Z-3f9a1c", b"http://[::1]/",
        b"a b://[c",  # broke the naming once: a file's name that is no URL
    ],
    "wire": lambda: [
        _message({"kind": "frame", "source_frame": 0, "time_s": 0.5, "shown_until_s": 0.75, "height_px": 2, "width_px": 4}, bytes(24)),
        _message({"kind": "thumbnails", "time_s": [0.0, 0.2], "height_px": 1, "width_px": 2}, bytes(12)),
        _message({"kind": "sound"}, bytes(8)) + _message({"kind": "done", "facts": asdict(FACTS)}),
        _message({"kind": "error", "what": "broken", "hint": "get another"}),
    ],
    "headers": lambda: [
        b"gzip\n" + gzip.compress(b"x"), b"120\n", b"Wed, 21 Oct 2026 07:28:00 GMT\nx", b"/b?c#d\n", b"https://h.example:444/\xc3\xa9\n",
    ],
    "unpacked": lambda: [gzip.compress(b"video" * 9), gzip.compress(bytes(5000), 9)],
    "completion": lambda: [
        CompletionRecord("k", "v", {"fps": 5.0}, {"frames.parquet": {"bytes": 5, "sha256": "a" * 64}}).to_json().encode(),
        CompletionRecord("k", "v", asdict(FACTS), {}).to_json().encode(),
    ],
    "answers": lambda: [
        b'{"kind": "video", "files": 1, "info": {"title": "a #b", "tags": ["c", 5],"timestamp": 1e9, "view_count": 5, "like_count": 9e30}}',
        b'{"kind": "error", "error": "RateLimitedError", "what": "slow", "subject": "u", "hint": "h", "retry_after_s": 60.0}',
        b'{"kind": "confined", "missing": []}',
        b'{"kind": "unknown"}',
    ],
    "joined": lambda: [
        b'\x00{"kind": "joined", "shown": 3, "left_out": ["image 2 is left out: the file is not a picture", 5]}',
        b'\x00{"kind": "error", "what": "broken"}',
        b"\x01",
    ],
    "photos": lambda: [
        b'{"id": "1", "imagePost": {"images": [{"imageURL": {"urlList": ["https://h/a.webp", 5, "//h/b"]}}]}, "music": {"playUrl": "x"}}',
        b'{"id": "1", "code": "a", "carousel_media": [{"image_versions2": {"candidates": [{"url": "https://h/a", "width": 5}]}}]}',
    ],
    "listed": lambda: [
        b'{"url": "https://h/@a/video/1?x=\\u00e9", "id": "1", "title": "a\\nb", "timestamp": 1e9, "view_count": 5, "uploader": "x"}',
        b'{"webpage_url": "https://H:443/\\u202e", "upload_date": "20260230", "like_count": 9e30}',
    ],
    "proxy_heads": lambda: [
        b"CONNECT h.example:443 HTTP/1.1\r\nHost: h.example\r\nProxy-Authorization: Basic eA==",
        b"GET http://[::1]:80/a?b HTTP/1.1\r\nContent-Length: 3\r\nX: \xff",
        b"POST http://h?q HTTP/1.0\r\nConnection: close\r\nA:b",
    ],
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
    ("answers", b'{"kind": ' + b"[" * 100_000),
    ("proxy_heads", b"GET http://h/a?\0b HTTP/1.1"),
    ("proxy_heads", b"POST http://h/ HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 40"),
    ("headers", b"http://[::1\n"),
    ("headers", b"//[\n"),
]
"""What broke a target once."""


def digest_of(data: bytes) -> str:
    """A short name for an input."""
    return hashlib.sha256(data).hexdigest()[:16]
