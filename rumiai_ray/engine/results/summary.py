"""The figures of a batch: what its `summary.json` says of counts, throughput, model times and the speed of light."""

from __future__ import annotations

import copy
import json
import logging
from typing import TYPE_CHECKING, Any

from rumiai_ray.engine.results.ceiling import ceiling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rumiai_ray.engine.work.counts import Tally
    from rumiai_ray.models.base import ModelPlan

_LOG = logging.getLogger(__name__)


def figures_of(parts: Mapping[str, Callable[[], Mapping[str, Any]]]) -> dict[str, Any]:
    """The figures of a run, part by part. A part that cannot be computed is named under `not_computed`, with the reason.

    The run is done when they are asked for: its end record must not be lost for a figure of it.

    Args:
        parts: what computes each, by name; JSON values without NaN.
    """
    figures: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name, compute in parts.items():
        try:
            part = compute()
            json.dumps(part, allow_nan=False)
        except Exception as error:  # noqa: BLE001 -- see above
            missing[name] = f"{type(error).__name__}: {error}"
            _LOG.warning("the run's summary lacks the part %s: %s", name, missing[name])
            _LOG.debug("part %s", name, exc_info=error)
        else:
            figures |= part
    return figures | ({"not_computed": missing} if missing else {})


def summary_of(tally: Tally, earlier: Tally, elapsed_s: float) -> dict[str, Any]:
    """The figures of a batch for `summary.json`: counts and model times of the whole run, the rest of this session.

    Args:
        tally: of this session.
        earlier: of what a resumed run had already.
        elapsed_s: of this session since Ray was there; loading of models included.
    """
    whole, videos = copy.deepcopy(earlier), tally.entries["committed"]
    whole.add(tally)
    return {
        "entries": dict(whole.entries),
        "analyses": {f"{model}.{status}": count for (model, status), count in sorted(whole.statuses.items())},
        "failures": dict(whole.failures),
        "model_seconds": {model: round(seconds, 3) for model, seconds in sorted(whole.seconds.items())},
        "model_frames": dict(sorted(whole.frames.items())),
        "model_cpu_seconds": {model: round(cpu_s, 3) for model, cpu_s in sorted(tally.cpu_s.items())},
        "elapsed_s": round(elapsed_s, 3),
        "video_s": round(tally.video_s, 3),
        "videos_per_hour": round(3600 * videos / elapsed_s, 1),
        "video_hours_per_day": round(24 * tally.video_s / elapsed_s, 1),
    }


def speed_of_light(
    tally: Tally, models: Sequence[ModelPlan], actors: Mapping[str, int], cores: float, elapsed_s: float
) -> dict[str, Any] | None:
    """The ceiling as far as a batch can tell, and the share of it that was reached over `elapsed_s`, loading and decoding included.

    A model's time alone is not known here. On a CPU its CPU time over its threads stands for it, on a GPU the time inside its calls;
    both have in them what the models cost each other. `jobs/bench.py` measures each model alone. None where no model was asked anything,
    and where no node has `cores`: the workers have left, and what they had is not known any more.
    """
    if not cores:
        return None
    alone_s = {
        plan.name: tally.cpu_s[plan.name] / plan.settings.threads if plan.device == "cpu" else tally.seconds[plan.name] for plan in models
    }
    videos = tally.entries["committed"]
    limit = ceiling(alone_s, tally.cpu_s, videos, actors=actors, cores=cores)
    if limit is None:
        return None
    return {
        "videos_per_hour": round(3600 * limit.videos_per_s, 1),
        "bound_by": limit.bound_by,
        "share_reached": round(videos / elapsed_s / limit.videos_per_s, 3),
    }
