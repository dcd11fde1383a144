"""Whether a process is writing a run, and being alone with a run that is to be changed or removed.

On a disk each writer holds a shared `flock` on the run's directory for as long as it lives; the kernel lets go of it when the process ends,
however it ends. Writers do not shut each other out (commit records do that); a process that changes or removes a run wants the
directory alone. Object stores, and file systems without such locks, cannot tell who writes: there a run that has not ended
and in which something was written lately is taken for one that goes on.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import weakref
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rumiai_ray.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.runs.protocols import RunRecords
    from rumiai_ray.storage import Store

_LOG = logging.getLogger(__name__)

SILENT_FOR = timedelta(hours=6)
"""How long nothing must have been written in a run without an end before it counts as given up, where nothing tells who writes."""

_NO_LOCKS = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES, errno.EPERM}
"""What file systems without `flock` on directories say; NFS wants the file open for writing, which a directory never is."""


class WriterHold:
    """Shows other processes that this one writes a run; until it is let go, or the process ends.

    Args:
        run: the run's directory.

    Raises:
        ConfigError: another process is changing or removing the run.
    """

    def __init__(self, run: Store) -> None:
        try:
            descriptor = _locked(run, fcntl.LOCK_SH)
        except BlockingIOError as error:
            raise ConfigError("another process is changing this run", run.uri(), "wait until it has ended") from error
        self._release = weakref.finalize(self, os.close, descriptor) if descriptor is not None else None

    def let_go(self) -> None:
        """Stop showing it."""
        if self._release is not None:
            self._release()


@contextmanager
def alone_with(run: RunRecords) -> Iterator[None]:
    """Be the only one who writes a run.

    Raises:
        ConfigError: another process writes it, or may be writing it.
        StorageError: nothing but the run's records can tell whether it goes on, and they cannot be read.
    """
    try:
        descriptor = _locked(run.store, fcntl.LOCK_EX)
    except BlockingIOError as error:
        hint = "wait until that process has ended, or stop it"
        raise ConfigError("another process is writing this run", run.store.uri(), hint) from error
    try:
        if descriptor is None:
            _check_silent(run)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _check_silent(run: RunRecords) -> None:
    records = run.log.records
    if records and records[-1].kind == "end":
        return
    last = max((record.written_at for record in records), default=run.manifest.created_at)
    if datetime.now(UTC) - last < SILENT_FOR:
        hours = SILENT_FOR // timedelta(hours=1)
        hint = f"finish it (`rumiai-ray runs resume {run.run_id}`), or wait until its last record is {hours} hours old"
        raise ConfigError("this run has not ended, and a process may be writing it", run.store.uri(), hint)


def _locked(run: Store, kind: int) -> int | None:
    """A descriptor that holds a lock on a run's directory; None where there are no such locks.

    Raises:
        BlockingIOError: the lock cannot be had now.
    """
    if not run.on_disk:
        return None
    try:
        descriptor = os.open(run.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        _LOG.debug("%s cannot be locked: %s", run.uri(), error)
        return None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError as error:
        os.close(descriptor)
        if error.errno not in _NO_LOCKS:
            raise
        _LOG.debug("%s cannot be locked: %s", run.uri(), error)
        return None
    return descriptor
