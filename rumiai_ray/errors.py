"""The exception tree. Every failure a user can meet is one of these six, or a child of one.

A message says what happened, to what, and what to do. Instances survive pickling, so they cross Ray's process borders unchanged.
"""

from __future__ import annotations

from typing import ClassVar

from rumiai_ray.shown import shown, shown_input


class RumiaiError(Exception):
    """Base of all errors this package raises on purpose.

    Args:
        what: what happened, in one clause ("no such file").
        subject: what it happened to: a path, a URL, a model's name.
        hint: what the user can do about it.

    Secrets in addresses are left out of all three; see `shown`.
    """

    retryable: ClassVar[bool] = False
    """True where the same call may succeed later without anybody changing anything."""

    def __init__(self, what: str, subject: str = "", hint: str = "") -> None:
        # Here, where no caller can forget it: messages end in tables, logs and terminals.
        what, subject, hint = shown(what), shown_input(subject), shown(hint)
        super().__init__(what, subject, hint)
        self.attempts = 1
        """How often it was tried before it was raised for good."""
        self.what = what
        self.subject = subject
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.subject}: {self.what}" if self.subject else self.what
        return f"{head} ({self.hint})" if self.hint else head


class InputError(RumiaiError):
    """The input cannot be got: bad URL, no such file, unsupported scheme, no permission."""


class MediaError(RumiaiError):
    """The bytes are there but are no video or sound we can read: corrupt, neither kind of stream, too large, timed out."""


class WeightsError(RumiaiError):
    """A weights file is missing, unreachable, or its digest is not the catalogue's."""


class ModelError(RumiaiError):
    """A model raised, crashed, hung or broke its contract."""


class TransientError(RumiaiError):
    """The world's fault, not the input's: network trouble, a lost node. Worth another try."""

    retryable = True


class ConfigError(RumiaiError):
    """The command, a setting or the machine is not fit for the run; nothing was started."""


class StorageError(RumiaiError):
    """The frame store or the run directory cannot be written: disk full, no permission, read-only."""
