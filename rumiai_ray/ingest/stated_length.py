"""Whether a media file states its length, or libav's figure for the length is a guess."""

from __future__ import annotations

import os

_WITHOUT_LENGTH = {"aac", "amr"}
"""Containers that have no header to state a length: libav's figure is a guess from the bit rate of the first frames."""
_ID3, _ID3_HEADER_BYTES, _ID3_FOOTER = b"ID3", 10, 0x10
_FRAME_COUNT_WITHIN_BYTES = 1024
"""The frame count of an MP3 file stands at most 36 bytes behind the start of its first audio frame; padding may come before that."""


def states_its_length(container: str, descriptor: int) -> bool:
    """Whether the length that libav gives for a file comes from the file, so that less than that length is a loss.

    Args:
        container: libav's name of the file's format.
        descriptor: of the file; the file's position does not change.
    """
    return _has_frame_count(descriptor) if container == "mp3" else container not in _WITHOUT_LENGTH


def _has_frame_count(descriptor: int) -> bool:
    """Whether an MP3 file states how many frames it has, in a Xing, Info or VBRI header; libav's length is a guess where it does not."""
    at, head = 0, os.pread(descriptor, _ID3_HEADER_BYTES, 0)
    if head.startswith(_ID3) and len(head) == _ID3_HEADER_BYTES:
        size = sum(byte << 7 * place for place, byte in enumerate(reversed(head[6:])))
        at = _ID3_HEADER_BYTES * (2 if head[5] & _ID3_FOOTER else 1) + size
    frame = os.pread(descriptor, _FRAME_COUNT_WITHIN_BYTES, at)
    if b"VBRI" in frame:
        return True
    found = max(frame.find(b"Xing"), frame.find(b"Info"))
    return found >= 0 and bool(int.from_bytes(frame[found + 4 : found + 8], "big") & 1)
