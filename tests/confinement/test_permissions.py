"""What a confined process may still do: exactly what its `Confinement` names."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from caged import outcome
from rumiai_ray.confinement import Available, Confinement, available

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_landlock = pytest.mark.skipif(available().landlock_abi < 4, reason="the kernel lacks Landlock's network rules (ABI 4)")
needs_seccomp = pytest.mark.skipif(not available().seccomp, reason="no seccomp filters here")
COMPUTE = Confinement()


@pytest.fixture
def port() -> Iterator[int]:
    """A TCP port on the loopback address where somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_confined_process_computes_allocates_and_starts_threads() -> None:
    inside = """
threads = [threading.Thread(target=lambda: bytearray(50_000_000)) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
os.urandom(8), os.getpid(), resource.getrusage(resource.RUSAGE_SELF), resource.getrlimit(resource.RLIMIT_AS)
import time; time.sleep(0.01), time.monotonic(), time.process_time()
"""
    assert outcome(inside, COMPUTE) == "done"


@needs_seccomp
def test_no_thread_starts_where_threads_are_not_allowed() -> None:
    inside = "try:\n    threading.Thread(target=int).start()\nexcept RuntimeError:\n    raise OSError(errno.EPERM, '')"
    assert outcome(inside, Confinement(threads=False)) == "EPERM"


def test_a_process_with_two_threads_refuses_to_be_confined() -> None:
    before = """
stop = threading.Event()
threading.Thread(target=stop.wait, daemon=True).start()
try:
    confine(Confinement())
except RuntimeError as error:
    assert "2 threads" in str(error)
else:
    raise SystemExit(3)
"""
    assert outcome("pass", None, before=before) == "done"


def test_every_descriptor_that_is_not_named_is_closed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    before = f"a, b = (os.open({str(tmp_path / 'file')!r}, os.O_RDONLY) for _ in range(2)); os.dup2(a, 50); os.dup2(b, 51)"
    assert outcome("assert os.read(50, 9) == b'text'", Confinement(descriptors=(50,)), before=before) == "done"
    assert outcome("os.read(51, 9)", Confinement(descriptors=(50,)), before=before) == "EBADF"


@needs_landlock
def test_readable_trees_are_readable_and_nothing_else_is(tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    for directory in (inner, outer):
        directory.mkdir()
        (directory / "file").write_text("text")
    confinement = Confinement(readable=(str(inner),))
    given = {"inner": str(inner), "outer": str(outer)}
    assert outcome("assert open(given['inner'] + '/file').read() == 'text'; os.listdir(given['inner'])", confinement, given) == "done"
    for refused in (
        "open(given['outer'] + '/file')",
        "open(given['inner'] + '/../outer/file')",
        "os.listdir(given['outer'])",
        "open(given['inner'] + '/file', 'a')",
        "open(given['inner'] + '/file', 'r+')",
        "os.open(given['inner'] + '/file', os.O_RDONLY | os.O_TRUNC)",
        "os.truncate(given['inner'] + '/file', 0)",
        "open(given['inner'] + '/new', 'w')",
        "os.unlink(given['inner'] + '/file')",
        "os.rename(given['inner'] + '/file', given['inner'] + '/other')",
        "os.chmod(given['inner'] + '/file', 0o777)",
        "os.utime(given['inner'] + '/file')",
    ):
        assert outcome(refused, confinement, given) in {"EPERM", "EACCES"}, refused
        assert (inner / "file").read_text() == "text"


@needs_landlock
def test_writable_trees_take_files_and_no_directories_links_devices_or_sockets(tmp_path: Path) -> None:
    (tmp_path / "in" / "there").mkdir(parents=True)
    confinement = Confinement(writable=(str(tmp_path / "in"),))
    given = {"in": str(tmp_path / "in"), "out": str(tmp_path)}
    inside = """
path = given["in"] + "/a"
with open(path, "w") as file: file.write("text"); file.flush(); os.fsync(file.fileno()); file.truncate(2)
os.rename(path, given["in"] + "/b")
assert open(given["in"] + "/b").read() == "te"
os.unlink(given["in"] + "/b")
open(path, "w").close()
"""
    assert outcome(inside, confinement, given) == "done"
    for refused in (
        "open(given['out'] + '/a', 'w')",
        "os.rename(given['in'] + '/a', given['out'] + '/a')",
        "os.mkdir(given['in'] + '/d')",
        "os.rmdir(given['in'] + '/there')",
        "os.symlink('/etc', given['in'] + '/link')",
        "os.link(given['in'] + '/a', given['in'] + '/b')",
        "os.mkfifo(given['in'] + '/fifo')",
        "os.mknod(given['in'] + '/device', 0o600 | 0o020000, os.makedev(1, 3))",
        "os.chmod(given['in'] + '/a', 0o4777)",
    ):
        assert outcome(refused, confinement, given) in {"EPERM", "EACCES"}, refused


@needs_landlock
def test_a_named_port_takes_connections_and_no_other_port_does(port: int) -> None:
    connect = "socket.create_connection(('127.0.0.1', given['port']), timeout=5).sendall(b'x')"
    given = {"port": port}
    codec = "import encodings.idna"  # `socket` imports this module at the first name
    assert outcome(connect, Confinement(connect_ports=(port,)), given, before=codec) == "done"
    assert outcome(connect, Confinement(connect_ports=(port % 60_000 + 1,)), given, before=codec) == "EACCES"
    assert outcome(connect, COMPUTE, given, before=codec) == "EPERM"


@needs_landlock
@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
        "socket.socketpair()",
        "socket.socket(40, socket.SOCK_STREAM)",  # AF_VSOCK
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)",  # MPTCP, past Landlock
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 256)",  # SMC
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)",  # SCTP
        "socket.socket().bind(('127.0.0.1', 0))",
        "socket.socket().listen()",
        "socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', given['other']))",  # TCP Fast Open
        "socket.socket().sendmsg([b'x'], [], 0x20000000, ('127.0.0.1', given['other']))",
        "socket.socket().setsockopt(socket.SOL_SOCKET, 26, bytes(16))",  # SO_ATTACH_FILTER
        "socket.socket().connect(('127.0.0.1', given['other']))",
    ],
)
def test_a_process_with_one_port_gets_no_other_socket(port: int, attempt: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        given = {"other": other.getsockname()[1]}
        assert outcome(attempt, Confinement(connect_ports=(port,)), given) in {"EPERM", "EACCES"}


def test_a_missing_layer_is_named_where_the_confinement_needs_it() -> None:
    old = Available(landlock_abi=2, seccomp=True, reasons=())
    assert old.missing(COMPUTE) == ()
    assert "TCP ports: ABI 2" in " ".join(old.missing(Confinement(connect_ports=(80,))))
    assert "truncation: ABI 2" in " ".join(old.missing(Confinement(writable=("/tmp",))))  # noqa: S108 -- nothing is written
    bare = Available(landlock_abi=5, seccomp=False, reasons=(("seccomp", "the kernel refuses filters: Function not implemented"),))
    assert [line.split(":")[0] for line in bare.missing(COMPUTE)] == ["seccomp", "Landlock's rule for signals"]
