"""The manifest of a run: what was asked for, and what exactly computed the answer. Written once, before the first row."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from rumiai_ray.confinement import available, missing_layers
from rumiai_ray.errors import ConfigError, StorageError
from rumiai_ray.models.base import ModelPlan
from rumiai_ray.models.catalogue import packages
from rumiai_ray.provenance import GitState, git_state, package_versions, result_packages, source_sha256
from rumiai_ray.runs.datafile import TABLE_NAME
from rumiai_ray.runs.fingerprint import fingerprint
from rumiai_ray.runs.ids import check_run_id
from rumiai_ray.runs.times import RecordedTime
from rumiai_ray.schema.registry import TABLES_BY_NAME
from rumiai_ray.settings import result_settings
from rumiai_ray.shown import HIDDEN, shown, shown_values

FORMAT_VERSION = 1

_TableName = Annotated[str, StringConstraints(pattern=rf"^{TABLE_NAME}$")]


class _Record(BaseModel):
    # Unknown keys are ignored, so a run written by a later version that only added some can be read.
    model_config = ConfigDict(frozen=True, extra="ignore")


class WeightsRecord(_Record):
    """One weights file a model loaded."""

    role: str
    name: str
    """The file's own name; where it lay on the machine is nobody's business later."""
    sha256: str


class ModelRecord(_Record):
    """What ran as one model family: a `ModelPlan` as plain values."""

    name: str
    backend: str
    version: str
    stand_in: bool
    reason: str = ""
    """Why this candidate was chosen, in words; no part of the fingerprint."""
    files: tuple[WeightsRecord, ...]
    weights_sha256: str
    device: str
    precision: str
    settings: dict[str, Any]
    """All settings of the model."""
    result_settings: dict[str, Any]
    """Those of them that can change a result."""

    @classmethod
    def of(cls, plan: ModelPlan) -> Self:
        """The record of a plan."""
        return cls(
            name=plan.name,
            backend=plan.backend,
            version=plan.version,
            stand_in=plan.stand_in,
            reason=plan.reason,
            files=tuple(
                WeightsRecord(role=role, name=Path(path).name, sha256=plan.digests[role]) for role, path in sorted(plan.files.items())
            ),
            weights_sha256=plan.weights_sha256,
            device=plan.device,
            precision=plan.precision,
            settings=plan.settings.model_dump(mode="json"),
            result_settings=result_settings(plan.settings),
        )


class ClusterRecord(_Record):
    """The Ray cluster a run was started on."""

    ray_version: str
    nodes: int = Field(ge=1)
    resources: dict[str, float]
    """Total resources as Ray counts them, e.g. `{"CPU": 16.0, "GPU": 1.0}`."""


class SandboxRecord(_Record):
    """How the kernel confines the processes that handle strangers' bytes, on the machine that started the run."""

    landlock_abi: int
    """Version of Landlock; 0 where there is none."""
    seccomp: bool
    missing: tuple[str, ...]
    """The layers that the kernel cannot enforce, in words."""

    @classmethod
    def of_now(cls) -> Self:
        """The record of this machine."""
        offered = available()
        return cls(landlock_abi=offered.landlock_abi, seccomp=offered.seccomp, missing=missing_layers())


_HOOK = "--on-end"


def _without_hook(command: Sequence[str]) -> list[str]:
    """A command line without what is called at the run's end: an address that is posted to is often a secret as a whole."""
    kept: list[str] = []
    for before, argument in zip(("", *command), command, strict=False):
        whole = argument.startswith(f"{_HOOK}=")
        kept.append(HIDDEN if before == _HOOK else f"{_HOOK}={HIDDEN}" if whole else argument)
    return kept


class RunManifest(_Record):
    """Everything needed to say what a run was and whether another would say the same."""

    format_version: int = FORMAT_VERSION
    run_id: str
    created_at: RecordedTime
    """UTC."""
    command: tuple[str, ...]
    """The command line as it was given, but for secrets in it; see `shown`."""
    config: dict[str, Any]
    """All settings, defaults included."""
    result_settings: dict[str, Any]
    """Those of them that can change a result."""
    source_sha256: str
    git: GitState
    packages: dict[str, str]
    models: tuple[ModelRecord, ...]
    sampling: dict[str, Any]
    """The sampling specification of the frame store."""
    cluster: ClusterRecord | None = None
    """None for a run without Ray."""
    sandbox: SandboxRecord | None = None
    """None in runs of before the decoder was confined."""
    entries: int = 0
    """How many entries the run was given; they are kept beside the manifest."""
    entries_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """Digest of the run's own copy of its entries."""
    locations: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")
    """Random name, under `private/`, of the file with the addresses that hold secrets; empty where none does."""
    tables: dict[_TableName, int]
    """Schema version of every table this run can have."""
    fingerprint: str = ""
    """See `runs.fingerprint`; computed where it is not given."""

    @field_validator("run_id")
    @classmethod
    def _is_run_id(cls, value: str) -> str:
        return check_run_id(value)

    @model_validator(mode="after")
    def _with_fingerprint(self) -> Self:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", fingerprint(self.result_parts()))
        return self

    @classmethod
    def of_now(
        cls,
        run_id: str,
        *,
        command: Sequence[str],
        config: BaseModel,
        plans: Sequence[ModelPlan],
        sampling: Mapping[str, Any],
        entries: tuple[int, str, str] = (0, "", ""),
        cluster: ClusterRecord | None = None,
    ) -> Self:
        """The manifest of a run that starts now, with this process's code, packages and checkout.

        `entries` is how many there are, the digest of the run's copy of them and the name of the private file beside the copy.

        Raises:
            ConfigError: `run_id` cannot name a run.
        """
        return cls(
            run_id=run_id,
            created_at=datetime.now(UTC),
            command=tuple(shown(argument) for argument in _without_hook(command)),
            config=shown_values(config.model_dump(mode="json")),
            result_settings=result_settings(config),
            source_sha256=source_sha256(),
            git=git_state(),
            packages=package_versions(packages(plans)),
            models=tuple(ModelRecord.of(plan) for plan in plans),
            sampling=dict(sampling),
            entries=entries[0],
            entries_sha256=entries[1],
            locations=entries[2],
            cluster=cluster,
            sandbox=SandboxRecord.of_now(),
            tables={name: table.version for name, table in TABLES_BY_NAME.items()},
        )

    def result_parts(self) -> dict[str, object]:
        """What can change a result, as JSON values: source, packages, sampling, result settings and each model's identity."""
        return {
            "source_sha256": self.source_sha256,
            "packages": result_packages(self.packages),
            "sampling": self.sampling,
            "result_settings": self.result_settings,
            "models": {
                model.name: {
                    "backend": model.backend,
                    "version": model.version,
                    "weights": {file.role: file.sha256 for file in model.files},
                    # Which of several equal GPUs it was is placement, not arithmetic.
                    "device": model.device.partition(":")[0],
                    "precision": model.precision,
                    "settings": model.result_settings,
                }
                for model in self.models
            },
        }

    def to_json(self) -> bytes:
        """The manifest as it is written, indented for people."""
        return (json.dumps(self.model_dump(mode="json"), indent=2, allow_nan=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, subject: str) -> Self:
        """The manifest that was written.

        Args:
            data: the file's content.
            subject: the file's address, for the message.

        Raises:
            StorageError: it is no manifest this version can read.
        """
        try:
            manifest = cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise StorageError(
                f"unreadable manifest ({where + ': ' if where else ''}{first['msg']})", subject, "the run is damaged; restore the file"
            ) from error
        except ConfigError as error:
            raise StorageError(f"unreadable manifest (run_id: {error})", subject, "the run is damaged; restore the file") from error
        if manifest.format_version > FORMAT_VERSION:
            raise StorageError(f"written in format {manifest.format_version}, this version reads {FORMAT_VERSION}", subject, "upgrade")
        return manifest
