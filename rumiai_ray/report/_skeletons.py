"""Which landmarks are joined by a line. MediaPipe's own connections; a test compares them, so that its slow import is spared here."""

from __future__ import annotations

from itertools import pairwise

Edges = tuple[tuple[int, int], ...]


def _joined(*chains: tuple[int, ...]) -> Edges:
    return tuple(edge for chain in chains for edge in pairwise(chain))


FACE_EDGES: Edges = _joined(
    # oval
    (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
     148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10),
    # eyes, brows
    (263, 249, 390, 373, 374, 380, 381, 382, 362), (263, 466, 388, 387, 386, 385, 384, 398, 362),
    (33, 7, 163, 144, 145, 153, 154, 155, 133), (33, 246, 161, 160, 159, 158, 157, 173, 133),
    (276, 283, 282, 295, 285), (300, 293, 334, 296, 336), (46, 53, 52, 65, 55), (70, 63, 105, 66, 107),
    # lips
    (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291), (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308), (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
)  # fmt: skip
"""Contours of face, eyes, brows and lips, of the face mesh's 478 landmarks."""

IRIS_EDGES: Edges = _joined((474, 475, 476, 477, 474), (469, 470, 471, 472, 469))

HEAD_EDGES: Edges = _joined((0, 1, 2, 3, 7), (0, 4, 5, 6, 8), (9, 10))
"""Of the 33 pose landmarks those of the head."""

BODY_EDGES: Edges = (
    *_joined((11, 12), (11, 13, 15, 17), (15, 19), (15, 21), (17, 19)),
    *_joined((12, 14, 16, 18), (16, 20), (16, 22), (18, 20), (11, 23), (12, 24), (23, 24), (23, 25), (24, 26)),
    *_joined((25, 27), (26, 28), (27, 29), (28, 30), (29, 31), (30, 32), (27, 31), (28, 32)),
)
"""Of the 33 pose landmarks those below the head."""

HAND_EDGES: Edges = _joined((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (0, 17, 18, 19, 20), (5, 9, 13, 17))
"""Of a hand's 21 landmarks."""
