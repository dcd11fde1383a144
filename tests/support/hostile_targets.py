"""Our own Python that reads strangers' bytes, as functions of bytes: each ends well or raises one of its documented errors.

The functions form the four targets of coverage-guided fuzzing (`TARGETS`); an input's first byte chooses among a target's functions.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict
from email.message import Message
from typing import TYPE_CHECKING, Any, cast

from rumiai_ray.errors import RumiaiError
from rumiai_ray.frames.decode import checked
from rumiai_ray.frames.decode.parent import DecodedFrame, DecodedSound, DecodedThumbnails, _understood
from rumiai_ray.frames.decode.wire import WireError, receive
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.store.entry import CompletionRecord, DamagedEntryError
from rumiai_ray.frames.types import SourceFacts
from rumiai_ray.ingest import web
from rumiai_ray.ingest.decoding import decoder
from rumiai_ray.ingest.entries import _RowReader
from rumiai_ray.ingest.identity import Namer
from rumiai_ray.ingest.location import locate
from rumiai_ray.ingest.manifest import rows as manifest_rows
from rumiai_ray.ingest.sites import joining, photo_posts
from rumiai_ray.ingest.sites.errors import outcome
from rumiai_ray.ingest.sites.fetch import told_error as site_error
from rumiai_ray.ingest.sites.job import described, described_item, described_notes
from rumiai_ray.ingest.sites.lists import post_of, rows_of
from rumiai_ray.ingest.sites.metadata import metadata_from
from rumiai_ray.ingest.sites.photo_posts import InstagramIE, TikTokIE
from rumiai_ray.ingest.sites.process import message_of
from rumiai_ray.ingest.sites.proxy_request import BadRequestError, closing_head, parse_request
from rumiai_ray.runs.commits import _digest, _unseal
from rumiai_ray.runs.ids import check_run_id
from rumiai_ray.runs.manifest import RunManifest
from rumiai_ray.shown import terminal_safe
from synthetic_run import RUN_ID

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
_YEAR_S = 366 * 86_400
_MOST_NOTES, _NOTE_CHARS = 200, 1000
_ROW_BYTES = 100_000
_MOST_ADDRESSES = 3


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


def json_values(data: bytes) -> None:
    """A JSON manifest: an array, objects one after another, or one object around an array."""
    _entries(".json", data)


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
        case DecodedFrame(source_frame, time_s, shown_until_s, _):
            _need(type(source_frame) is int and abs(source_frame) < 2**63, f"a frame {source_frame!r}")
            _need(math.isfinite(time_s) and math.isfinite(shown_until_s), f"a frame at {time_s!r} until {shown_until_s!r}")
        case DecodedThumbnails(times_s, jpegs):
            _need(len(times_s) == len(jpegs) and all(map(math.isfinite, times_s)), "thumbnails without times")
        case DecodedSound(samples):
            _need(len(samples) % 2 == 0, "half a sample")
        case facts:
            said = {"audio_codec": "", "audio_start_s": 0.0, "audio_duration_s": 0.0, "audio_stream": 0, "audio_layout": ""}
            like = vars(FACTS) | said | {"loudness_lufs": 0.0, "cadence_fps": 0.0, "color_transfer": ""}
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


def completion(data: bytes) -> None:
    """The completion record of a frame-store entry, as it lies there and with a digest that fits; and an entry's facts."""
    text = data.decode(errors="surrogateescape")
    try:
        record = CompletionRecord.from_json(text)
    except DamagedEntryError:
        record = CompletionRecord.from_json(_sealed_completion(text))
    for stated in record.files.values():
        _need(stated["bytes"] is not stated["sha256"], "a file without size and digest")
    try:
        facts = checked.facts(record.sampling)
    except (KeyError, TypeError, ValueError):
        return
    _fit_for_the_store(facts)


def _sealed_completion(text: str) -> str:
    try:
        body = json.loads(text)
        return CompletionRecord(**{name: body[name] for name in ("key", "video_key", "sampling", "files")}).to_json()
    except (ValueError, TypeError, KeyError, RecursionError):
        raise WireError("no record") from None


def answers(data: bytes) -> None:
    """What a yt-dlp that a page has taken over may say to its parent."""
    message = message_of(data, "http://example.com/")
    if message is None:
        return
    error = site_error(message, "http://example.com/")
    wait_s = getattr(error, "retry_after_s", None)
    _need(wait_s is None or 0 <= wait_s <= _YEAR_S, f"{wait_s} s to wait")
    said = metadata_from(described(message.get("info")), "http://example.com/")
    for name, value in asdict(said).items():
        _need(type(value) is not int or abs(value) < 2**63, f"{name} is {value!r}")
    lists = (said.hashtags, said.mentions, said.artists, said.subtitle_languages, said.auto_subtitle_languages)
    texts = (text for listed in lists for text in listed or ())
    for value in (said.title, said.description, said.author, said.source_url, said.track, said.sound_id, *texts, *said.notes):
        _need(value is None or "\0" not in value, "a NUL in a table's text")
        (value or "").encode()


def joined(data: bytes) -> None:
    """What a process that puts a post's parts together, and that they have taken over, may say to its parent."""
    answer = joining._check(data[0] % 2 if data else 0, data[1:], "parts", "http://example.com/")
    notes = described_notes(answer.get("left_out"))
    _need(len(notes) <= _MOST_NOTES and all(isinstance(note, str) and len(note) <= _NOTE_CHARS for note in notes), "notes without bounds")


def photos(data: bytes) -> None:
    """What a page says of a post of images, as our extractors of such posts take it; and what is said where they cannot."""
    said = _json(data)
    try:
        if isinstance(said, dict) and "imagePost" in said:
            info = TikTokIE()._parse_aweme_video_web(said, "https://www.tiktok.com/@/video/1", "1", extract_flat=True)
            found: list[list[str]] = info.get(photo_posts.IMAGES, [])
        else:
            info = InstagramIE()._extract_product(said, get_comments=False)
            found = [photo_posts._addresses(photo_posts._thumbnails(entry)) for entry in info.get("entries") or [info]]
        described(info)
    except Exception as error:  # noqa: BLE001 -- as the process that runs yt-dlp: an extractor raises whatever a page makes it
        raise outcome(error, "https://www.tiktok.com/@/video/1") from None
    for addresses in found:
        _need(len(addresses) <= _MOST_ADDRESSES, "addresses without bounds")
        for address in addresses:
            _need(address.startswith(("https://", "http://", "//")), f"{address!a} is no address of the web")


def listed(data: bytes) -> None:
    """What yt-dlp says of an item of a list; the row that is printed of it."""
    post = post_of(described_item(_json(data)))
    if post is None:
        return
    _need(locate(post.url).kind == "web" and terminal_safe(post.url) == post.url, f"an address {post.url!a}")
    for name, value in vars(post).items():
        _need(type(value) is not int or abs(value) < 2**63, f"{name} is {value!r}")
        _need(type(value) is not str or (len(value.encode()) <= _ROW_BYTES and "\n" not in value), f"{name} is {value!a}")
    rows_of([post])


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise WireError("no JSON") from None


def proxy_heads(data: bytes) -> None:
    """What a client asks of the checking proxy; the head that the proxy passes on must say the same to another reader."""
    try:
        request = parse_request(data + b"\r\n\r\n")
    except BadRequestError:
        raise WireError("no request") from None
    passed_on = request.head(whole_url=False)
    _need(passed_on.count(b"\r\n\r\n") == 1 and passed_on.endswith(b"\r\n\r\n"), "two heads in one")
    if not request.tunnel:
        lines = passed_on.split(b"\r\n")
        _need(len(lines) == len(request.headers) + 5, "a header line more than was read")
        _need(passed_on.lower().count(b"\r\nhost:") == 1, "not one host")
        _need(not any(end in line for line in lines for end in (b"\r", b"\n", b"\0")), "a line end inside a line")
        _need(lines[0].count(b" ") == 2 and request.path.startswith("/"), "a first line that is read otherwise")
    _need(closing_head(passed_on).endswith(b"\r\nConnection: close\r\n\r\n"), "an answer that goes on")


FUNCTIONS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one
    for one in (
        *(csv, jsonl, json_values, text, parquet, records, completion, names, headers, wire, unpacked, answers, proxy_heads),
        *(joined, photos, listed),
    )
}
TARGETS: dict[str, tuple[str, ...]] = {
    "manifests": ("csv", "jsonl", "json_values", "text", "parquet"),
    "records": ("records", "completion"),
    "names": ("names", "headers", "photos", "listed"),
    "wire": ("wire", "unpacked", "answers", "proxy_heads", "joined"),
}
"""Functions of each target of the fuzzing."""
EXPECTED = (RumiaiError, WireError, DamagedEntryError)


def chosen(target: str, data: bytes) -> tuple[str, bytes]:
    """The function of a target that the first byte chooses, and the bytes for it."""
    among = TARGETS[target]
    return (among[data[0] % len(among)], data[1:]) if data else (among[0], b"")


def tried(name: str, data: bytes) -> str:
    """`analysed` or `refused`. Whatever else is raised is a fault of the package."""
    try:
        FUNCTIONS[name](data)
    except EXPECTED:
        return "refused"
    return "analysed"
