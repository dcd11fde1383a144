"""The decoder's cage, tried from inside, with what a video that has taken the decoder over would try."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from caged import outcome
from escapes import NUMBERS, OTHERS, PLAIN
from rumiai_ray import confinement
from rumiai_ray.confinement import Available, available
from rumiai_ray.errors import ConfigError, MediaError
from rumiai_ray.frames.decode import cage
from rumiai_ray.frames.decode import parent as decode_module
from rumiai_ray.frames.decode.parent import decode
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.types import SourceFacts
from synthetic_clips import grid_times_s, make_clip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not available().landlock_abi or not available().seccomp, reason="this kernel lacks Landlock or seccomp, so the cage is not whole"
)
NUMBER = f"number = {NUMBERS!r}.__getitem__\n"
LIKE_THE_DECODER = f"""
{NUMBER}
import encodings.idna, fcntl
from rumiai_ray.frames.decode import cage
from rumiai_ray.frames.limits import DecodeLimits, confine_this_process
confine_this_process(DecodeLimits(), os.getppid())
cage.import_what_decoding_needs()
assert cage.enter(1, given["terminal"]).missing == ()
"""
EACH_IN_TURN = """
for name, statements in given["escapes"].items():
    sys.stdout.write(json.dumps([name, "began"]) + "\\n"); sys.stdout.flush()
    try:
        exec(statements)
        result = "done"
    except OSError as error:
        result = errno.errorcode.get(error.errno, str(error.errno))
    except ValueError as error:  # `resource` speaks of limits, whatever the kernel says
        result = f"refused: {error}"
    sys.stdout.write(json.dumps([name, result]) + "\\n"); sys.stdout.flush()
"""
REFUSED = {"EPERM", "EACCES", "ENOSYS", "refused: not allowed to raise maximum limit"}
SECRET = "token-of-somebody-else"  # noqa: S105 -- nobody's
RUN_THE_DECODER = "import sys; from rumiai_ray.frames.decode.child import main; main(sys.argv[1])"


def facts_of(path: Path, limits: DecodeLimits) -> SourceFacts:
    *_, facts = decode(path, SamplingSpec(), limits)
    assert isinstance(facts, SourceFacts)
    return facts


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", grid_times_s(10, 1), sound_from_to_s=[(0, 1)])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """What a process could reach outside: files, sockets, a process with a secret, a terminal."""
    directory = tmp_path_factory.mktemp("outside")
    (directory / "file").write_text(SECRET)
    (directory / "spare").touch()
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = tcp.getsockname()[1]
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(directory / "socket"))
        unix.listen()
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0rumiai-test-{os.getpid()}")
        abstract.listen()
        victim = stack.enter_context(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"SECRET": SECRET}))
        stack.callback(victim.kill)
        terminals = pty.openpty()
        for descriptor in terminals:
            stack.callback(os.close, descriptor)
        yield {
            "directory": str(directory),
            "file": str(directory / "file"),
            "spare": str(directory / "spare"),
            "port": port,
            "unix": str(directory / "socket"),
            "abstract": f"rumiai-test-{os.getpid()}",
            "victim": victim.pid,
            "terminal": terminals[1],
        }


@pytest.fixture(scope="module")
def outcomes(scene: dict[str, object]) -> dict[str, str]:
    """How each escape ended, tried one after another in one caged process."""
    terminal = scene["terminal"]
    assert isinstance(terminal, int)
    given = {**scene, "escapes": {**PLAIN, **OTHERS}}
    said = outcome(EACH_IN_TURN, None, given, before=LIKE_THE_DECODER, descriptors=(terminal,))
    return dict(json.loads(line) for line in said.splitlines() if line.startswith("["))


@pytest.mark.parametrize("escape", [*PLAIN, *OTHERS])
def test_from_inside_the_cage_no_process(outcomes: dict[str, str], escape: str) -> None:
    assert outcomes.get(escape, "was not tried: an escape before this one ended the process") in REFUSED


def test_the_cage_was_tried_in_more_than_fifty_ways(outcomes: dict[str, str]) -> None:
    assert len(outcomes) > 50


@pytest.mark.parametrize("escape", PLAIN)
def test_outside_the_cage_every_process(scene: dict[str, object], escape: str) -> None:
    """Otherwise the tests above would pass whatever the cage does."""
    descriptor = scene["terminal"]
    assert isinstance(descriptor, int)
    if escape == "opens the parent's memory" and os.geteuid():
        pytest.skip("only root may open the memory of a process that is no child, where Yama guards it")
    assert outcome(PLAIN[escape], None, scene, before=NUMBER, descriptors=(descriptor,)) == "done"


def test_a_decoder_that_a_library_gave_a_second_thread_refuses_to_decode(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        decode_module,
        "_DECODER",
        ("-c", "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()\n" + RUN_THE_DECODER),
    )
    with pytest.raises(MediaError, match="2 threads run already"):
        facts_of(clip, DecodeLimits())


def test_nothing_is_imported_inside_the_cage(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is imported late fails in the cage; a module that is not there must fail the same way and be noticed."""
    program = (
        "import atexit, sys\nfrom rumiai_ray.frames.decode import child as _decoder, cage\n"
        "entered, late = cage.enter, []\n"
        "def enter(*descriptors):\n"
        "    entered(*descriptors)\n"
        "    sys.addaudithook(lambda event, args: event == 'import' and late.append(args[0]))\n"
        "cage.enter = enter\n"
        "facts = _decoder.asdict\n"
        "_decoder.asdict = lambda given: {**facts(given), 'container': f'late: {late}'}\n" + RUN_THE_DECODER
    )
    monkeypatch.setattr(decode_module, "_DECODER", ("-c", program))
    assert facts_of(clip, DecodeLimits()).container == "late: []"


def test_a_decoder_is_caged_before_it_reads_a_byte(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import socket\nfrom rumiai_ray.frames.decode import child as _decoder\n"
        "def reach_out(*_):\n    try:\n        socket.socket()\n    except PermissionError:\n        raise ValueError('caged') from None\n"
        "_decoder.open_media = reach_out\n" + RUN_THE_DECODER
    )
    monkeypatch.setattr(decode_module, "_DECODER", ("-c", program))
    with pytest.raises(MediaError, match="ValueError: caged"):
        facts_of(clip, DecodeLimits())


@pytest.mark.parametrize(
    ("offered", "missing"),
    [
        (Available(0, seccomp=True, reasons=(("Landlock", "the kernel does not offer it: Operation not supported"),)), "Landlock"),
        (Available(7, seccomp=False, reasons=(("seccomp", "the kernel refuses filters: Function not implemented"),)), "seccomp"),
    ],
)
def test_a_required_sandbox_that_is_not_whole_refuses_by_the_missing_layer(
    clip: Path, monkeypatch: pytest.MonkeyPatch, offered: Available, missing: str
) -> None:
    protected: list[bool] = []
    monkeypatch.setattr(cage, "available", lambda: offered)
    monkeypatch.setattr(confinement, "available", lambda: offered)
    monkeypatch.setattr(confinement, "become_undumpable", lambda: protected.append(True))
    with pytest.raises(ConfigError, match=rf"not confined.*{missing}.*--limits-require-sandbox"):
        facts_of(clip, DecodeLimits(require_sandbox=True))
    assert facts_of(clip, DecodeLimits()).frames_decoded
    assert protected == ([True] if missing == "Landlock" else []), "the parent hides its memory only where Landlock is missing"


def test_a_required_sandbox_that_is_whole_decodes(clip: Path) -> None:
    assert facts_of(clip, DecodeLimits(require_sandbox=True)).frames_decoded


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only x86_64 has other system call tables")
def test_the_other_system_call_tables_of_the_machine_kill_the_process(scene: dict[str, object]) -> None:
    x32 = "call(0x40000000 + number('getpid'))"
    assert outcome(x32, None, {**scene, "terminal": 0}, before=LIKE_THE_DECODER) == "killed SIGSYS"
    # push rbx; mov eax, 20 (getpid of i386); int 0x80; pop rbx; ret
    machine_code = (
        "page = mmap.mmap(-1, 4096, prot=7); page.write(bytes.fromhex('53 b8 14 00 00 00 cd 80 5b c3'))\n"
        "ask = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))\n"
    )
    ended = outcome("ask()", None, {**scene, "terminal": 0}, before=machine_code + LIKE_THE_DECODER)
    assert ended in {"killed SIGSYS", "killed SIGSEGV"}  # the latter where the kernel has no table for i386


def test_a_taken_over_decoder_may_still_crash_under_its_own_name(scene: dict[str, object]) -> None:
    assert outcome("os.abort()", None, {**scene, "terminal": 0}, before=LIKE_THE_DECODER) == "killed SIGABRT"
