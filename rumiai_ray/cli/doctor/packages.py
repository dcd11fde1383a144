"""Are the Python packages there, at versions that fit each other? Asked of their metadata: nothing heavy is imported."""

from __future__ import annotations

from datetime import date
from importlib import metadata

from rumiai_ray.cli.doctor.finding import Finding
from rumiai_ray.package_manager import YTDLP, update_command

DISTRIBUTION = "rumiai-ray"
OPENCV = ("opencv-contrib-python", "opencv-python", "opencv-python-headless")
"""Three wheels over one folder `cv2`: mediapipe wants the first, ultralytics the second, easyocr the third."""
_UPDATE = f"`{update_command(YTDLP)}`; a run can be resumed with another version of it"
_OLD_DAYS = 60
"""Chosen: it has a release every two or three weeks."""
INSTALL = "`make venv`, or `pip install -c cluster/constraints.txt -e .`"


def packages() -> list[Finding]:
    """Findings on this package's own requirements, on OpenCV's three wheels, and on torch beside torchvision."""
    return [_requirements(), _opencv(), _torch()]


def _requirements() -> Finding:
    check = "packages"
    try:
        wanted = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return Finding(check, "warning", f"{DISTRIBUTION} is not installed, so its requirements cannot be read", INSTALL)
    try:
        unmet = [line for requirement in wanted if (line := _unmet(requirement))]
    except ModuleNotFoundError:
        return Finding(check, "error", "the package `packaging` is not installed, and others probably are not either", INSTALL)
    if unmet:
        return Finding(check, "error", "; ".join(unmet), INSTALL)
    return Finding(check, "ok", f"all requirements of {DISTRIBUTION} are met")


def _unmet(line: str) -> str:
    """Why a requirement is not met; empty if it is, or if it does not apply here (another platform, an extra)."""
    from packaging.requirements import Requirement  # noqa: PLC0415 -- not there before the installation

    requirement = Requirement(line)
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return ""
    installed = _version(requirement.name)
    if installed is None:
        return f"{requirement.name} is not installed"
    if not requirement.specifier.contains(installed, prereleases=True):
        return f"{requirement.name} is {installed}, must be {requirement.specifier}"
    return ""


def _opencv() -> Finding:
    versions = {name: _version(name) for name in OPENCV}
    named = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
    if len(set(versions.values())) > 1 or None in versions.values():
        return Finding("opencv", "error", f"the three wheels share one folder and must be one version: {named}", INSTALL)
    return Finding("opencv", "ok", f"three wheels at {versions['opencv-python']}")


def _torch() -> Finding:
    torch, torchvision = _version("torch"), _version("torchvision")
    if torch is None or torchvision is None:
        return Finding("torch", "error", f"torch {torch or 'missing'}, torchvision {torchvision or 'missing'}", INSTALL)
    named = f"torch {torch}, torchvision {torchvision}"
    unmet = [why for line in metadata.requires("torchvision") or [] if line.startswith("torch") and (why := _unmet(line))]
    if unmet:
        return Finding("torch", "error", f"{named}: {unmet[0]}", INSTALL)
    # A CPU build beside the registry's torchvision does not import: `operator torchvision::nms does not exist`.
    if ("+cpu" in torch) != ("+cpu" in torchvision):
        return Finding("torch", "error", f"{named}: one is a CPU build, the other is not", INSTALL)
    return Finding("torch", "ok", named)


def ytdlp_age(today: date) -> Finding:
    """How old yt-dlp is: sites change by the week, and it with them."""
    check, version = "yt-dlp", _version("yt-dlp")
    if version is None:
        return Finding(check, "error", "yt-dlp is missing: no post of any site can be read", INSTALL)
    try:
        days = (today - date(*map(int, version.split(".")[:3]))).days
    except (ValueError, TypeError) as error:
        return Finding(check, "warning", f"yt-dlp's version, {version}, is not a date, so its age is unknown ({error})", _UPDATE)
    named = f"yt-dlp {version} is {max(days, 0)} days old"
    if days > _OLD_DAYS:
        return Finding(check, "warning", f"{named}: sites that have changed since then cannot be read", _UPDATE)
    return Finding(check, "ok", f"{named}; to update it: `{update_command(YTDLP)}`")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
