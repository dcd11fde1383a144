"""Which candidates the warm cell of this user has, so that a hub that comes or goes does not replace it."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING

from rumiai_ray.errors import RumiaiError
from rumiai_ray.models.weights.places import user_cache

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.models.base import ModelPlan

_LOG = logging.getLogger(__name__)


def kept_by_warm_cell(config: BaseConfig) -> dict[str, str]:
    """Backends by family of the cell that `up` made where this command would look for one; empty where there is none.

    A licence accepted only by this command asks for another choice.
    """
    try:
        noted = json.loads(_note().read_text(encoding="utf-8"))
        models, accepted, place = dict(noted["models"]), bool(noted["accepted"]), str(noted["place"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        _LOG.debug("%s: %s", _note(), error)
        return {}
    if place != _place() or (config.accept_noncommercial and not accepted):
        return {}
    return models


def note_warm_cell(models: Iterable[ModelPlan], config: BaseConfig) -> None:
    """Remember what the cell that was just made runs."""
    noted = {
        "place": _place(),
        "accepted": config.accept_noncommercial,
        "models": {model.name: model.backend for model in models},
    }
    try:
        _note().parent.mkdir(parents=True, exist_ok=True)
        part = _note().with_suffix(".part")
        part.write_text(json.dumps(noted), encoding="utf-8")
        part.replace(_note())
    except OSError as error:  # a read-only cache: the choice is then made anew each time
        _LOG.debug("%s: %s", _note(), error)


def _note() -> Path:
    return user_cache() / "warm-choice.json"


def _place() -> str:
    """The Ray that a warm cell of this user would be on; empty where there is none."""
    address = os.environ.get("RAY_ADDRESS")
    if address:
        return address
    from rumiai_ray.engine.ray_session.local_head import find_head  # noqa: PLC0415 -- only where a note was found

    try:
        head = find_head()
    except RumiaiError as error:
        _LOG.debug("no head: %s", error)
        return ""
    return f"{head.address} {head.process}" if head else ""
