"""Which videos are worth a comparison: locality-sensitive hashing (bit sampling) of their pictures' hashes, never all pairs.

Indyk and Motwani, Approximate nearest neighbors (STOC 1998): hashes that agree in a few bits chosen at random are likely to be near one
another. Each of `_TABLES` choices of bits sorts all hashes; only neighbours in that order are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rumiai_ray.corpus.duplicates.hashes import distance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rumiai_ray.corpus.duplicates.hashes import Flags, Hashes, Numbers

WHOLE, MIRRORED, CROP = range(3)
"""What a hash is of. A mirrored picture or a crop stands for what a repost may be; two such do not compare."""
NEAR_BITS = 32
"""Bits in which the hashes of two pictures differ at most for their videos to be compared. The pictures of reposts of the shared clips
differ by 0 to 30 at their nearest."""
_TABLES = 24
_BITS = (10, 24)
"""Bits of a choice: two more than tell as many hashes apart, within these limits."""
_WINDOW = 24
"""Hashes of one bucket that each is compared with, in an order that is another in every table: a bucket of thousands, as of one much used
picture, is not compared pairwise, and a chain of its members is enough for a cluster."""


def candidate_pairs(hashes: Hashes, video: Numbers, kind: NDArray[np.int8], seed: int = 0) -> Numbers:
    """Pairs of videos, of which some picture of one is near some picture of the other.

    Of two hashes that differ in 24 of 256 bits, a table of 20 bits finds one in seven, and all of them 97 in 100; videos have several
    pictures. Time and memory grow with the number of hashes (times its logarithm), not with its square.

    Args:
        hashes: shape (n, 32).
        video: the number of each hash's video, shape (n,).
        kind: `WHOLE`, `MIRRORED` or `CROP`, shape (n,).
        seed: of the choices of bits.

    Returns:
        Shape (pairs, 2), each pair once, the smaller number first, in order.
    """
    found = np.empty(0, np.int64)
    videos = int(video.max()) + 1 if len(video) else 0
    rng = np.random.default_rng(seed)
    bits = int(np.clip(np.ceil(np.log2(max(len(hashes), 1))) + 2, *_BITS))
    for _ in range(_TABLES):
        buckets = _sampled(hashes, rng.choice(hashes.shape[1] * 8, bits, replace=False))
        order, key = _in_buckets(buckets, rng.permutation(videos)[video], kind)
        for one, other in _neighbours(key):
            first, second = order[one], order[other]
            may = (video[first] != video[second]) & ((kind[first] == WHOLE) | (kind[second] == WHOLE) | (kind[first] != kind[second]))
            first, second = first[may], second[may]
            near = distance(hashes[first], hashes[second]) <= NEAR_BITS
            pair = np.sort(np.column_stack([video[first[near]], video[second[near]]]), axis=1)
            found = np.union1d(found, pair[:, 0] * videos + pair[:, 1])
    return np.column_stack(np.divmod(found, max(videos, 1)))


def _sampled(hashes: Hashes, chosen: Numbers) -> Numbers:
    """(n,) the chosen bits of each hash as one number."""
    key = np.zeros(len(hashes), np.int64)
    for bit in chosen.tolist():
        key = (key << 1) | ((hashes[:, bit // 8] >> (bit % 8)) & 1)
    return key


def _in_buckets(buckets: Numbers, video: Numbers, kind: NDArray[np.int8]) -> tuple[Numbers, Numbers]:
    """Places of the hashes in the order of buckets, one per bucket, video and kind; and the bucket of each."""
    whole = kind == WHOLE
    order = np.lexsort((whole, video, buckets))
    bucket, of_video, is_whole = buckets[order], video[order], whole[order]
    first: Flags = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(bucket) != 0) | (np.diff(of_video) != 0) | (is_whole[1:] != is_whole[:-1])
    return order[first], bucket[first]


def _neighbours(key: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Places of pairs in the same bucket, at most `_WINDOW` apart."""
    for step in range(1, _WINDOW + 1):
        one = np.flatnonzero(key[step:] == key[:-step])
        if not len(one):
            return
        yield one, one + step
