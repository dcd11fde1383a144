"""Which system calls a confined process may make: a list of what is allowed. Everything else fails with EPERM.

Allowed is what computing, threads and open descriptors need, then what each permission in a `Confinement` adds.
"""

from __future__ import annotations

import os
from errno import ENOSYS, EPERM
from mmap import PROT_EXEC
from typing import TYPE_CHECKING

from rumiai_ray.confinement._bpf import Argument, Rule, program, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rumiai_ray.confinement._syscalls import Architecture

_LAST_KNOWN = 462
"""`mseal` of Linux 6.10. A C library that tries a newer call falls back on ENOSYS, not on EPERM."""

_ALWAYS = """
read write readv writev pread64 preadv lseek close fstat dup dup2 dup3 poll ppoll select pselect6
futex brk munmap mremap madvise sched_yield sched_getaffinity getcpu rseq set_robust_list set_tid_address exit exit_group restart_syscall
rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times
getrusage getrlimit getpid gettid getppid getuid geteuid getgid getegid uname sysinfo getrandom
"""
_READING = "stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getcwd getdents64 fstatfs statfs"
_WRITING = """
open openat ftruncate fallocate fsync fdatasync pwrite64 pwritev rename renameat renameat2 unlink unlinkat
sendfile flock umask
"""
_STREAMS = """
connect recvfrom recvmsg shutdown getsockname getpeername getsockopt
epoll_create1 epoll_ctl epoll_wait epoll_pwait pipe pipe2 eventfd2
"""

_CLONE_THREAD = 0x10000
_CLONE_FLAGS_OF_THREADS = 0x7D0F00
"""All that glibc and musl ask for when they start a thread. No flag that makes a namespace is among them."""
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA = 15, 16, 0x53564D41
_AT_EMPTY_PATH = 0x1000
_DESCRIPTOR_COMMANDS = (0, 1, 2, 3, 1030, 1032)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ. F_SETOWN with F_SETSIG would send signals to other processes."""
_F_SETFL = 4
_LOCK_COMMANDS = (5, 6, 7, 36, 37, 38)
"""F_GETLK, F_SETLK, F_SETLKW and the same for open file descriptions."""
_IOCTLS = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS (isatty), FIONREAD, FIONBIO (a socket's timeout), FIONCLEX, FIOCLEX. TIOCSTI and TIOCLINUX would type into a terminal."""
_OPEN_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (getattr(os, "O_TMPFILE", 0) & ~os.O_DIRECTORY)

_AF_INET, _AF_INET6, _SOCK_STREAM, _IPPROTO_TCP = 2, 10, 1, 6
_SOCKET_TYPE = 0xF
_MSG_FASTOPEN = 0x20000000
"""Connects without `connect`, past Landlock's check of the port."""
_SOL_SOCKET, _IPPROTO_IPV6, _IPV6_V6ONLY = 1, 41, 26
_SOCKET_OPTIONS = (2, 7, 8, 9, 13, 20, 21)
"""SO_REUSEADDR, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_LINGER, SO_RCVTIMEO, SO_SNDTIMEO. SO_ATTACH_FILTER would load a program."""
_TCP_OPTIONS = (1, 4, 5, 6, 12, 18)
"""TCP_NODELAY, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_QUICKACK, TCP_USER_TIMEOUT."""


def seccomp_filter(machine: Architecture, *, threads: bool, reading: bool, writing: bool, streams: bool) -> bytes:
    """The program for this process. It names the process's own ID: a child of the process would need its own.

    Args:
        machine: where it runs.
        threads: new threads may be started.
        reading: files may be opened for reading.
        writing: files may be opened for writing, made, renamed and deleted.
        streams: TCP sockets may be made and connected.
    """
    rules = [
        *_plain(machine, _ALWAYS),
        *_processes_and_memory(machine.numbers, threads=threads),
        *_files(machine, reading=reading or writing, writing=writing, streams=streams),
        *(_network(machine) if streams else ()),
    ]
    return program(machine.audit_arch, rules, _LAST_KNOWN, refuse(ENOSYS), refuse(EPERM))


def _plain(machine: Architecture, names: str) -> list[Rule]:
    return [Rule(machine.numbers[name]) for name in names.split() if name in machine.numbers]


def _where(number: int, *alternatives: tuple[Argument, ...]) -> Rule:
    return Rule(number, alternatives, refuse(EPERM))


def _processes_and_memory(numbers: Mapping[str, int], *, threads: bool) -> list[Rule]:
    not_executable = Argument(2, (0,), mask=PROT_EXEC)
    a_thread = (
        Argument(0, (_CLONE_THREAD,), mask=_CLONE_THREAD),
        Argument(0, (0,), mask=~_CLONE_FLAGS_OF_THREADS & 0xFFFFFFFF, whole=True),
    )
    return [
        _where(numbers["mmap"], (not_executable,)),
        _where(numbers["mprotect"], (not_executable,)),
        # its flags lie in memory, where a filter cannot look; on ENOSYS the C library takes `clone`
        Rule(numbers["clone3"], (), refuse(ENOSYS)),
        _where(numbers["clone"], *([a_thread] if threads else [])),
        _where(numbers["tgkill"], (Argument(0, (os.getpid(),)),)),  # `abort`
        _where(numbers["prlimit64"], (Argument(0, (0,)), Argument(2, (0,), whole=True))),  # reads a limit of this process
        _where(numbers["prctl"], (Argument(0, (_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA)),)),  # names of threads and of memory areas
    ]


def _files(machine: Architecture, *, reading: bool, writing: bool, streams: bool) -> list[Rule]:
    numbers = machine.numbers
    commands = (*_DESCRIPTOR_COMMANDS, *((_F_SETFL,) if streams else ()), *(_LOCK_COMMANDS if writing else ()))
    rules = [_where(numbers["fcntl"], (Argument(1, commands),))]
    if reading or streams:
        rules.append(_where(numbers["ioctl"], (Argument(1, _IOCTLS),)))
    if not reading:  # `fstat` of glibc 2.33 to 2.38
        return [*rules, _where(numbers["newfstatat"], (Argument(3, (_AT_EMPTY_PATH,)),))]
    rules += _plain(machine, _READING)
    if writing:
        return [*rules, *_plain(machine, _WRITING)]
    rules.append(_where(numbers["openat"], (Argument(2, (0,), mask=_OPEN_FOR_WRITING),)))
    if "open" in numbers:
        rules.append(_where(numbers["open"], (Argument(1, (0,), mask=_OPEN_FOR_WRITING),)))
    return rules


def _network(machine: Architecture) -> list[Rule]:
    numbers = machine.numbers
    not_fast_open = (0,)
    return [
        _where(
            numbers["socket"],
            (
                Argument(0, (_AF_INET, _AF_INET6)),
                Argument(1, (_SOCK_STREAM,), mask=_SOCKET_TYPE),
                Argument(2, (0, _IPPROTO_TCP)),  # neither MPTCP, SMC nor SCTP: Landlock watches TCP only
            ),
        ),
        _where(numbers["sendto"], (Argument(3, not_fast_open, mask=_MSG_FASTOPEN),)),
        _where(numbers["sendmsg"], (Argument(2, not_fast_open, mask=_MSG_FASTOPEN),)),
        _where(
            numbers["setsockopt"],
            (Argument(1, (_SOL_SOCKET,)), Argument(2, _SOCKET_OPTIONS)),
            (Argument(1, (_IPPROTO_TCP,)), Argument(2, _TCP_OPTIONS)),
            (Argument(1, (_IPPROTO_IPV6,)), Argument(2, (_IPV6_V6ONLY,))),
        ),
        *_plain(machine, _STREAMS),
    ]
