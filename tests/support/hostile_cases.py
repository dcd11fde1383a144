"""One hostile case by name: `media:CHANGE:N`, `arrow:KIND:N`, `origin:KIND:N`, `join:CHANGE:N`, `show:CHANGE:N`, `page:KIND:N`.

The same seed and name give the same case.

As a program it takes names from standard input and answers each with a line of JSON; its parent sees when it dies or hangs.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import hostile_arrow
import hostile_files
import hostile_origins
import hostile_posts
from rumiai_ray.errors import RumiaiError
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.store.store import FrameStore
from rumiai_ray.ingest import addresses
from rumiai_ray.ingest.entries import entries_from_inputs
from rumiai_ray.ingest.fetch import FetchLimits, fetch
from rumiai_ray.ingest.sites.process import site_hosts

if TYPE_CHECKING:
    from collections.abc import Iterator

FETCH = FetchLimits(max_bytes=8 * 2**20, total_s=3, stall_s=1, attempts=2, retry_base_s=0.01, retry_max_s=0.1)
DECODE = DecodeLimits(wall_s=25, cpu_s=20)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MADE = {"os.mkdir": 0, "os.rename": 1, "os.link": 1, "os.symlink": 1, "os.truncate": 0, "shutil.copyfile": 1}


@dataclass
class Done:
    """How one case ended."""

    case: str
    outcome: str = "refused"
    fault: str = ""
    """An exception that is no `RumiaiError`."""
    written_outside_bytes: int = 0
    inside_requests: int = 0
    detail: str = ""


@dataclass
class _Watch:
    """What an audit hook sees while a case runs."""

    allowed: tuple[str, ...] = ()
    written: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    on: bool = False


_watch = _Watch()
_hooked: list[bool] = []


def _see(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watch.on:
        return
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
        _note(arguments[0])
    elif event in _MADE:
        _note(arguments[_MADE[event]])
    elif event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] != hostile_origins.ORIGIN:
        _watch.connected.append(str(arguments[1]))


def _note(path: Any) -> None:
    if isinstance(path, str | bytes | os.PathLike):
        where = os.path.realpath(os.fsdecode(path))
        if not where.startswith(_watch.allowed):
            _watch.written.append(where)


@dataclass
class Place:
    """Sound files, an outside that is watched, and the bad origin."""

    folder: Path
    seed: int
    sound: list[Path]
    scene: hostile_origins.Scene

    @classmethod
    @contextmanager
    def laid(cls, folder: Path, seed: int) -> Iterator[Self]:
        """Everything that cases need, in `folder`; the origin's address counts as public meanwhile."""
        for name in ("sound", "outside", "scratch"):
            (folder / name).mkdir()
        hostile_arrow.lay(folder / "sound")
        site_hosts()  # asks yt-dlp for its hosts, once
        if not _hooked:
            sys.addaudithook(_see)
            _hooked.append(True)
        is_public = addresses.is_public
        before = {name: os.environ.get(name) for name in ("HOME", "TMPDIR")}
        addresses.is_public = lambda address: address == hostile_origins.ORIGIN or is_public(address)
        os.environ |= dict.fromkeys(before, str(folder / "outside"))
        tempfile.tempdir = None
        try:
            with hostile_origins.scene() as scene:
                yield cls(folder, seed, hostile_files.sound_files(folder / "sound"), scene)
        finally:
            addresses.is_public = is_public
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
            tempfile.tempdir = None


def attempt(place: Place, case: str) -> Done:
    """Run one case."""
    section, kind, number = case.split(":")
    dice = random.Random(f"{place.seed} {case}")
    scratch = Path(tempfile.mkdtemp(dir=place.folder / "scratch"))
    done, trapped = Done(case), len(place.scene.trapped)
    outside = _sizes(place.folder / "outside")
    _watch.allowed = (f"{scratch.resolve()}/", str(scratch.resolve()), "/dev/null", "/proc/self")
    _watch.written, _watch.connected, _watch.on = [], [], True
    try:
        done.outcome = _SECTIONS[section](place, kind, int(number), scratch, dice)
    except RumiaiError as error:
        done.detail = f"{type(error).__name__}: {error.what}"[:200].encode(errors="replace").decode()
    except Exception as error:  # noqa: BLE001 -- that is what is looked for
        done.outcome, done.fault = "fault", f"{type(error).__name__}: {error}"[:500].encode(errors="replace").decode()
    finally:
        _watch.on = False
    after = _sizes(place.folder / "outside")
    changed = {path: size for path, size in after.items() if outside.get(path) != size}
    done.written_outside_bytes = sum(size for size, _ in changed.values()) + len(_watch.written)
    done.inside_requests = len(place.scene.trapped) - trapped + len(_watch.connected)
    if done.written_outside_bytes or done.inside_requests:
        done.detail += f" written: {[*changed, *_watch.written][:5]} connected: {_watch.connected[:5]}"
    with suppress(OSError):
        shutil.rmtree(scratch)
    return done


def _sizes(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*") if not path.is_dir()}


def damaged(kind: str, number: int) -> int:
    """Which file a case damages, counted from 0 through all kinds and numbers: so that each file has its turn."""
    kinds = [change.__name__ for change in hostile_files.CHANGES]
    return number * len(kinds) + kinds.index(kind)


def _media(place: Place, kind: str, number: int, scratch: Path, dice: random.Random) -> str:
    chosen, other = place.sound[damaged(kind, number) % len(place.sound)], dice.choice(place.sound)
    video = scratch / "video.mp4"
    video.write_bytes(hostile_files.changed(kind, chosen.read_bytes(), other.read_bytes(), dice) or b"\0")
    store = FrameStore(scratch / "store", spec=SamplingSpec(fps=1), limits=DECODE)
    import hashlib  # noqa: PLC0415 -- beside its use

    with store.ensure(video, hashlib.sha256(video.read_bytes()).hexdigest()) as stored:
        _ = [len(batch.jpegs) for batch in stored.batches()]
        stored.audio()
        stored.thumbnails()
    return "analysed"


def _arrow(place: Place, kind: str, number: int, scratch: Path, dice: random.Random) -> str:
    del number
    return hostile_arrow.tried(kind, place.folder / "sound", scratch, dice)


def _origin(place: Place, kind: str, number: int, scratch: Path, dice: random.Random) -> str:
    del number, dice
    hostile_origins.ask_by_tls(kind)
    with fetch(entries_from_inputs([place.scene.url(kind)])[0], FETCH, scratch):
        return "analysed"


def _join(place: Place, kind: str, number: int, scratch: Path, dice: random.Random) -> str:
    del number
    return hostile_posts.join(kind, scratch, place.sound, dice)


def _show(place: Place, kind: str, number: int, scratch: Path, dice: random.Random) -> str:
    del place, number
    return hostile_posts.show(kind, scratch, dice)


def _page(place: Place, kind: str, number: int, scratch: Path, dice: random.Random) -> str:
    del number
    return hostile_posts.page(kind, scratch, place.scene.trap, dice)


def _canary(place: Place, kind: str, number: int, scratch: Path, dice: random.Random) -> str:
    """Cases that break each promise, to see that the harness notices."""
    del scratch, dice
    if kind == "write":
        (place.folder / "outside" / "file").write_text("x")
    elif kind == "connect":
        host, port = place.scene.trap.removeprefix("http://").split(":")
        socket.create_connection((host, int(port))).close()
    elif kind == "fault":
        return str(1 // number)
    elif kind == "die":
        os.abort()
    elif kind == "hang":
        time.sleep(3600)
    return "analysed"


_SECTIONS = {
    "media": _media,
    "arrow": _arrow,
    "origin": _origin,
    "join": _join,
    "show": _show,
    "page": _page,
    "canary": _canary,
}
BESIDE = ("origin", "join", "show", "page")
"""Sections whose cases run beside the fuzzing: they wait, for a bad origin or for a process of their own, for most of their time."""


def cases(*, quick: bool) -> list[str]:
    """Names of all cases of the full form, or of the quick one."""
    media, arrow = (2, 8) if quick else (20, 70)
    made = [f"media:{change.__name__}:{number}" for number in range(media) for change in hostile_files.CHANGES]
    made += [f"origin:{kind}:0" for kind in hostile_origins.ORIGINS]
    posts = (("join", hostile_posts.DAMAGED_PARTS, 3), ("show", hostile_posts.DAMAGED_IMAGES, 3), ("page", hostile_posts.PAGES, 1))
    made += [f"{section}:{kind}:{number}" for section, kinds, most in posts for number in range(1 if quick else most) for kind in kinds]
    return made + [f"arrow:{kind}:{number}" for number in range(arrow) for kind in hostile_arrow.KINDS]


def main() -> None:
    """Answer the names of cases on standard input, one by one, until it ends."""
    with tempfile.TemporaryDirectory() as folder, Place.laid(Path(folder), int(sys.argv[1])) as place:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(asdict(attempt(place, line.strip()))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
