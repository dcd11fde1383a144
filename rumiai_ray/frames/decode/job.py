"""What the parent asks of the decoding subprocess."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec


@dataclass(frozen=True)
class Job:
    """One video to decode; travels as JSON in the subprocess's first argument."""

    input_fd: int
    """Of the video, open for reading."""
    output_fd: int
    """Of the pipe for messages."""
    parent_pid: int
    spec: SamplingSpec
    limits: DecodeLimits

    def to_json(self) -> str:
        """The argument that `from_json` reads."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read the argument `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "spec": SamplingSpec(**fields["spec"]), "limits": DecodeLimits(**fields["limits"])})
