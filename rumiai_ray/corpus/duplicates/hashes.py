"""Perceptual hashes as arrays: their distance, their mirror image, and which of them say too little to tell pictures apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rumiai_ray.errors import StorageError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

Hashes: TypeAlias = "NDArray[np.uint8]"
"""(…, 32) uint8: 16 rows of 16 bits, the first bit of a byte the lowest one."""
Flags: TypeAlias = "NDArray[np.bool_]"
Numbers: TypeAlias = "NDArray[np.int64]"
Floats: TypeAlias = "NDArray[np.float64]"

BYTES = 32
_SIDE = 16
_FEWEST_EDGES = 24
"""Borders between a 0 and a 1 that a hash must have, of 480. A sky over a field has 16, and so have all skies over fields; the shared clips
have 17 to 118, and a dog on a meadow before trees 41."""
_AT_A_TIME = 65_536
_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1), axis=1, bitorder="little")[:, 0]
"""Each byte with its bits in the other order."""


def from_hex(column: pa.ChunkedArray[Any]) -> tuple[Hashes, Flags]:
    """Hashes from a column of hex digits, and which of them are not null.

    Raises:
        StorageError: a text is no hash.
    """
    texts = column.to_pylist()
    known = np.array([text is not None for text in texts], np.bool_)
    hint = "a run is damaged: `rumiai-ray runs verify` tells which, and which file of it"
    damage = StorageError("holds a text that is no hash of 64 hex digits", "picture_hashes", hint)
    if any(text is not None and len(text) != 2 * BYTES for text in texts):
        raise damage
    try:
        plain = b"".join(bytes(BYTES) if text is None else bytes.fromhex(text) for text in texts)
    except ValueError as error:
        raise damage from error
    return np.frombuffer(plain, np.uint8).reshape(len(texts), BYTES), known


def mirrored(hashes: Hashes) -> Hashes:
    """The hashes of the mirrored pictures."""
    rows = _REVERSED[hashes].reshape(*hashes.shape[:-1], _SIDE, 2)
    return np.ascontiguousarray(rows[..., ::-1]).reshape(hashes.shape)


def distance(one: Hashes, other: Hashes) -> NDArray[np.uint16]:
    """Bits in which hashes differ, 0 to 256; shapes are broadcast."""
    apart = np.ascontiguousarray(one).view(np.uint64) ^ np.ascontiguousarray(other).view(np.uint64)
    bits: NDArray[np.uint16] = np.bitwise_count(apart).sum(axis=-1, dtype=np.uint16)
    return bits


def bits_of(hashes: Hashes) -> Hashes:
    """(…, 256) uint8, 0 or 1."""
    return np.unpackbits(hashes, axis=-1, bitorder="little")


def edges(hashes: Hashes) -> Numbers:
    """(n,) borders between a 0 and a 1 in (n, 32) hashes, 0 to 480."""
    found = np.empty(len(hashes), np.int64)
    for first in range(0, len(hashes), _AT_A_TIME):
        some = bits_of(hashes[first : first + _AT_A_TIME]).reshape(-1, _SIDE, _SIDE)
        beside = (some[:, 1:] != some[:, :-1]).sum(axis=(1, 2)) + (some[:, :, 1:] != some[:, :, :-1]).sum(axis=(1, 2))
        found[first : first + _AT_A_TIME] = beside
    return found


def telling(hashes: Hashes) -> Flags:
    """(n,) which of (n, 32) hashes have enough of a pattern for two equal ones to be no accident."""
    found: Flags = edges(hashes) >= _FEWEST_EDGES
    return found
