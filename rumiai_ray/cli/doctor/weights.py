"""Are the weights there, and are they the right ones?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rumiai_ray.cli.doctor.finding import Finding
from rumiai_ray.shown import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rumiai_ray.errors import RumiaiError
    from rumiai_ray.models.base import Model, ModelSettings
    from rumiai_ray.models.weights.choice import WantedModel
    from rumiai_ray.models.weights.files import Profile


def weights(profile: Profile, models: Mapping[str, ModelSettings], directories: Sequence[Path], *, accepted: bool = False) -> list[Finding]:
    """One finding for each family: what would run, or why nothing can. Every file is hashed."""
    from rumiai_ray.errors import RumiaiError  # noqa: PLC0415 -- the doctor's module stays light
    from rumiai_ray.models.catalogue import model_class  # noqa: PLC0415
    from rumiai_ray.models.weights.choice import MissingWeightsError, WantedModel, resolve  # noqa: PLC0415

    findings = []
    for name, settings in models.items():
        check = f"weights of {name}"
        model = model_class(name)
        if profile == "auto":
            findings.append(_auto(check, WantedModel(model, settings), directories, accepted=accepted))
            continue
        try:
            plan = resolve(model, settings, profile=profile, directories=directories)
        except MissingWeightsError as error:
            findings.append(Finding(check, "error", _said(error) + _unreachable(model, settings, profile), error.hint))
        except RumiaiError as error:
            findings.append(Finding(check, "error", _said(error), error.hint))
        else:
            declared = " (stand-in)" if plan.stand_in else ""
            files = f"{counted(len(plan.files), 'file')}, digests right" if plan.files else "needs none"
            findings.append(Finding(check, "ok", f"{plan.backend} {plan.version}{declared}, {files}"))
    return findings


def _auto(check: str, wanted: WantedModel, directories: Sequence[Path], *, accepted: bool) -> Finding:
    """What `auto` would choose; its files are hashed where they are here."""
    from rumiai_ray.errors import RumiaiError  # noqa: PLC0415
    from rumiai_ray.models.weights.auto import WeightsSurvey  # noqa: PLC0415
    from rumiai_ray.models.weights.choice import complete_plan  # noqa: PLC0415

    try:
        (choice,) = WeightsSurvey(directories, accepted).choose([wanted]).values()
        if choice.fetch:
            return Finding(check, "ok", f"{choice.candidate.backend}: {choice.reason}")
        plan = complete_plan(wanted, choice.candidate, directories, device="cpu", reason=choice.reason)
    except RumiaiError as error:
        return Finding(check, "error", _said(error), error.hint)
    files = f"{counted(len(plan.files), 'file')}, digests right" if plan.files else "needs none"
    return Finding(check, "ok", f"{plan.backend} {plan.version}: {plan.reason}; {files}")


def _said(error: RumiaiError) -> str:
    return f"{error.subject}: {error.what}"


def _unreachable(model: type[Model], settings: ModelSettings, profile: Profile) -> str:
    """A line on the hosts the missing files come from, where they cannot be reached from here."""
    from rumiai_ray.models.weights.fetch import fetchable, unreachable  # noqa: PLC0415

    candidate = fetchable(model, settings, profile)
    dead = unreachable(candidate.files, profile) if candidate else []
    return f"\n  cannot be fetched from here: no answer from {', '.join(dead)}" if dead else ""
