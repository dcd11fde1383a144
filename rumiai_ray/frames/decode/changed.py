"""Whether the bytes that were decoded are the bytes that were meant."""

from __future__ import annotations

import hashlib
import os
from typing import ClassVar

from rumiai_ray.errors import MediaError

_BLOCK_BYTES = 2**20


class ChangedError(MediaError):
    """The file does not hold the bytes that were asked for: it was written to, or replaced, in the meantime."""

    retryable: ClassVar[bool] = True

    @classmethod
    def of(cls, subject: str) -> ChangedError:
        """The error for one file."""
        return cls("the file changed while it was read", subject, "analyse it again once nothing writes to it any more")


def has_changed(descriptor: int, size_bytes: int, sha256: str | None) -> bool:
    """Whether an open file is no longer `size_bytes` long or does not hold the bytes of `sha256`.

    To be asked about the descriptor the decoder had, not the path, where another file may lie by now; and after decoding, since
    what was still being written when it was hashed may have been complete when it was decoded.

    Args:
        descriptor: of a regular file; its offset is neither used nor moved.
        size_bytes: when it was opened.
        sha256: hex; None where any bytes will do.
    """
    if sha256 is None:
        return False
    if os.fstat(descriptor).st_size != size_bytes:
        return True
    digest = hashlib.sha256()
    at = 0
    while at <= size_bytes and (block := os.pread(descriptor, _BLOCK_BYTES, at)):  # a file that grows on and on has an end here
        digest.update(block)
        at += len(block)
    return digest.hexdigest() != sha256
