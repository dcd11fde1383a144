"""Confinement of a subprocess that handles strangers' bytes: files, network, processes and memory, enforced by the Linux kernel.

A process imports everything it needs, calls `confine` once, and then reads its first foreign byte. Layers, each of which holds alone:
`no_new_privs`, no capabilities, not dumpable, Landlock (files, TCP ports, signals) and a seccomp filter that lists what is allowed.
Nothing can be undone. A module that is imported later needs its file, and an extension module executable memory, so both fail:
codecs (`encodings.idna` at the first host name) and time zones are easily forgotten.

Limits of what is enforced: Landlock knows ports, not addresses, so a permitted port is permitted on every host. CPU time, memory and
the parent's death are the business of `setrlimit` and `PR_SET_PDEATHSIG`, which the caller sets before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from rumiai_ray.confinement import _capabilities, _landlock, _seccomp
from rumiai_ray.confinement._kernel import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, prctl
from rumiai_ray.confinement._rules import seccomp_filter
from rumiai_ray.confinement._syscalls import architecture

__all__ = ["Available", "Confinement", "Enforced", "available", "become_undumpable", "confine", "missing_layers", "protect_parent"]


@dataclass(frozen=True)
class Confinement:
    """What a confined process may still do. The default: compute, start threads, and use the descriptors named here."""

    readable: tuple[str, ...] = ()
    """Files and directory trees that may be read. Each must exist. Nothing in them may be executed or mapped as code."""
    writable: tuple[str, ...] = ()
    """Files and directory trees that may be read and written. Modes, owners and times cannot be changed, directories neither made nor
    removed: who clears up afterwards could not remove a tree that is thousands of directories deep."""
    connect_ports: tuple[int, ...] = ()
    """TCP ports that may be connected to. Where empty no socket can be made; other kinds of sockets never can."""
    threads: bool = True
    """New threads may be started."""
    descriptors: tuple[int, ...] = ()
    """Open file descriptors that are kept, beside 0, 1 and 2. `confine` closes every other one."""


@dataclass(frozen=True)
class Available:
    """What the running kernel offers."""

    landlock_abi: int
    """Version of Landlock; 0 where there is none."""
    seccomp: bool
    """Whether seccomp filters can be used, on an architecture whose system calls are known here."""
    reasons: tuple[tuple[str, str], ...]
    """For each layer that is absent its name, "Landlock" or "seccomp", and why."""

    def missing(self, confinement: Confinement) -> tuple[str, ...]:
        """The layers of one confinement that this kernel cannot enforce, in words; empty where it can enforce all of it."""
        found = [f"{layer}: {why}" for layer, why in self.reasons]
        networked = bool(confinement.connect_ports) or not self.seccomp  # without sockets the filter alone is enough
        if 0 < self.landlock_abi < _landlock.ABI_NETWORK and networked:
            found.append(f"Landlock's rules for TCP ports: ABI {self.landlock_abi} of this kernel is below {_landlock.ABI_NETWORK}")
        if 0 < self.landlock_abi < _landlock.ABI_TRUNCATE and (confinement.writable or not self.seccomp):
            found.append(f"Landlock's rule for truncation: ABI {self.landlock_abi} of this kernel is below {_landlock.ABI_TRUNCATE}")
        if 0 < self.landlock_abi < _landlock.ABI_SCOPES and not self.seccomp:
            found.append(f"Landlock's rule for signals: ABI {self.landlock_abi} of this kernel is below {_landlock.ABI_SCOPES}")
        return tuple(found)


@dataclass(frozen=True)
class Enforced:
    """What binds this process from now on."""

    landlock_abi: int
    """Version of Landlock whose rules are in force; 0 where none are."""
    seccomp: bool
    """Whether a filter is in force."""
    missing: tuple[str, ...]
    """As `Available.missing` says: what the confinement asks for and the kernel cannot enforce."""


def available() -> Available:
    """Ask the kernel what it can enforce. Changes nothing."""
    reasons, landlock_abi, seccomp = [], 0, False
    machine = architecture()
    if machine is None:
        reasons.append(("seccomp", f"the system calls of {os.uname().sysname} on {os.uname().machine} are not known here"))
    else:
        try:
            _seccomp.probe(machine)
            seccomp = True
        except OSError as error:
            reasons.append(("seccomp", f"the kernel refuses filters: {error.strerror}"))
    try:
        landlock_abi = _landlock.abi() if os.uname().sysname == "Linux" else 0
    except OSError as error:
        reasons.append(("Landlock", f"the kernel does not offer it: {error.strerror}"))
    else:
        if not landlock_abi:
            reasons.append(("Landlock", f"{os.uname().sysname} does not have it"))
    return Available(landlock_abi, seccomp, tuple(reasons))


DECODING = Confinement()
"""What the process that decodes may do, as far as it matters for what a kernel must be able to enforce."""
FETCHING = Confinement(readable=("/",), writable=("/",), connect_ports=(1,))
"""The same of the process that runs yt-dlp, which needs files and a proxy's port."""


def missing_layers() -> tuple[str, ...]:
    """The layers that this kernel cannot enforce on the processes that handle strangers' bytes, in words; empty where it enforces all.

    A layer that decoding does not need, and the process that runs yt-dlp does, says so.
    """
    offered = available()
    decoding = offered.missing(DECODING)
    return decoding + tuple(f"{layer} (needed for yt-dlp)" for layer in offered.missing(FETCHING) if layer not in decoding)


def confine(confinement: Confinement) -> Enforced:
    """Confine the calling process, for good.

    A layer that the kernel does not offer is left out and named in the result. A layer that it offers and then refuses is an error.

    Args:
        confinement: what remains allowed.

    Raises:
        RuntimeError: the process has more than one thread, and Landlock binds only the calling one.
        OSError: the kernel refused a layer, or a readable or writable path does not exist.
    """
    offered = available()
    if os.uname().sysname != "Linux":
        return Enforced(0, seccomp=False, missing=offered.missing(confinement))
    threads = os.listdir("/proc/self/task")  # noqa: PTH208 -- counted
    if len(threads) != 1:
        raise RuntimeError(f"{len(threads)} threads run already, and a thread that runs before the confinement stays outside it")
    _close_descriptors({0, 1, 2, *confinement.descriptors})
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    become_undumpable()
    machine = architecture()
    files = bool(confinement.readable or confinement.writable)
    if machine is not None:
        _capabilities.drop(machine, keep_file_access=files)
    if offered.landlock_abi:
        _landlock.restrict(offered.landlock_abi, confinement.readable, confinement.writable, confinement.connect_ports)
    if machine is not None and offered.seccomp:
        instructions = seccomp_filter(
            machine,
            threads=confinement.threads,
            reading=files,
            writing=bool(confinement.writable),
            streams=bool(confinement.connect_ports),
        )
        _seccomp.install(machine, instructions)
    return Enforced(offered.landlock_abi, offered.seccomp, offered.missing(confinement))


def become_undumpable() -> None:
    """Close this process's memory and environment to other processes of the same user, root excepted; it dumps no core either."""
    prctl(PR_SET_DUMPABLE, 0)


def protect_parent() -> None:
    """Close this process's memory and environment to its children if Landlock does not. Call it before a child starts.

    The price is that no debugger, profiler or core dump of this user sees this process any more, so Landlock is preferred.
    """
    if not available().landlock_abi:
        become_undumpable()


def _close_descriptors(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 -- names are numbers
        if int(name) in kept:
            continue
        try:
            os.close(int(name))
        except OSError:  # the descriptor that listed the directory
            continue
