"""How the decoding subprocess talks to its parent: length, JSON header, raw bytes, over one pipe."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_LENGTHS = struct.Struct("<II")
"""Bytes of the header, bytes of the payload."""
_MAX_HEADER_BYTES = 2**20
_MAX_PAYLOAD_BYTES = 2**28
"""The sender has been fed with strangers' bytes; what it says is not believed beyond this."""


class WireError(Exception):
    """The other side sent something that is no message, or stopped in the middle of one."""


def send(pipe: BinaryIO, header: dict[str, Any], payload: bytes | memoryview = b"") -> None:
    """Write one message and flush it.

    Args:
        pipe: blocking, binary.
        header: JSON-able.
        payload: any bytes.
    """
    text = json.dumps(header).encode()
    pipe.write(_LENGTHS.pack(len(text), len(payload)))
    pipe.write(text)
    pipe.write(payload)
    pipe.flush()


def receive(read: Callable[[int], bytes | bytearray]) -> tuple[dict[str, Any], bytes | bytearray] | None:
    """Read one message.

    Args:
        read: returns exactly the bytes asked for, or fewer at the end of the stream.

    Returns:
        Header and payload, or None at a clean end of the stream.

    Raises:
        WireError: the stream ended inside a message, or holds no message.
    """
    lengths = read(_LENGTHS.size)
    if not lengths:
        return None
    if len(lengths) != _LENGTHS.size:
        raise WireError("the stream ended inside a message")
    header_bytes, payload_bytes = _LENGTHS.unpack(lengths)
    if header_bytes > _MAX_HEADER_BYTES or payload_bytes > _MAX_PAYLOAD_BYTES:
        raise WireError(f"a message of {header_bytes} + {payload_bytes} bytes")
    text = read(header_bytes)
    payload = read(payload_bytes)
    if len(text) != header_bytes or len(payload) != payload_bytes:
        raise WireError("the stream ended inside a message")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a header that is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise WireError("a header that is not a JSON object")
    return header, payload
