"""How a video that was made of a post's images is told from any other: by what the file says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN_S = 3
"""How long each image is shown in the video that is made of them; see `sites.slide_show_worker`."""
TAG_NAME, TAG = "comment", "rumiai-ray: a post of images, one frame each"
"""What the file's metadata say. MP4 and Matroska have a place for a comment; of a name of our own, MP4's writer would drop the entry."""


def is_slide_show(metadata: Mapping[str, str]) -> bool:
    """Whether a container's metadata say that the file is a post of images.

    A stranger's file may say so too. Shots are the one thing that is told differently of it, see `models.signals.cuts`.
    """
    return any(name.lower() == TAG_NAME and value == TAG for name, value in metadata.items())
