"""What the decoding subprocess may still do when it reads its first foreign byte: compute, and use its two descriptors.

Nothing here influences a frame, so this module is no part of the decoder's digest.
"""

from __future__ import annotations

import importlib

from rumiai_ray.confinement import DECODING, Confinement, Enforced, available, confine
from rumiai_ray.confinement.preloading import import_av

_MODULES = ("numpy.ma",)
"""Imported late by functions that decoding calls (`numpy.median`)."""


def import_what_decoding_needs() -> None:
    """Import every module that decoding may ask for. Inside the cage a module cannot be read, nor a library be mapped."""
    import_av()
    for name in _MODULES:
        importlib.import_module(name)


def enter(*descriptors: int) -> Enforced:
    """Confine this process, for good, to computing and to `descriptors`.

    Raises:
        RuntimeError: a library has started a thread.
        OSError: the kernel refused a layer that it offers.
    """
    return confine(Confinement(descriptors=descriptors))


def missing_layers() -> tuple[str, ...]:
    """The layers of the cage that this machine's kernel cannot enforce, in words; empty where the cage is whole."""
    return available().missing(DECODING)
