"""Videos as features with planted effects, without any run."""

from __future__ import annotations

from typing import Any

import numpy as np

from rumiai_ray.corpus.cohorts.features import CONFOUNDERS, OUTCOMES, FeatureRows

CONTINUOUS, COUNTS, RARE, FLAGS = 100, 20, 5, 5
"""Columns of each kind: as many as `summary` has, about."""


def made_features(videos: int = 200, seed: int = 1, **changes: Any) -> FeatureRows:
    """Videos whose features have nothing to do with their metric, as measured ones look: correlated, tied, rare, sometimes not measured.

    Args:
        videos: how many.
        seed: of everything.
        changes: fields of the result.
    """
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(videos, 10))
    continuous = latent @ rng.normal(size=(10, CONTINUOUS)) + rng.normal(size=(videos, CONTINUOUS))
    counts = rng.poisson(np.exp(latent[:, :1]), (videos, COUNTS)).astype(float)
    rare = (rng.random((videos, RARE)) < 0.05) * rng.integers(1, 9, (videos, RARE))
    flags = (rng.random((videos, FLAGS)) < rng.uniform(0.05, 0.6, FLAGS)).astype(float)
    values = np.column_stack([continuous, counts, rare, flags])
    values[rng.random(videos) < 0.2, 50:80] = np.nan
    kinds = [("continuous", CONTINUOUS), ("count", COUNTS), ("rare", RARE), ("flag", FLAGS)]
    fields: dict[str, Any] = {
        "features": tuple(f"{kind}_{number}" for kind, columns in kinds for number in range(columns)),
        "values": values,
        "is_boolean": np.arange(values.shape[1]) >= values.shape[1] - FLAGS,
        "asked": np.exp(rng.normal(8, 2, videos)).round(),
        "outcomes": {name: np.exp(rng.normal(8, 2, videos)).round() for name in OUTCOMES},
        "confounders": {name: rng.uniform(1, 1e9, videos) for name in CONFOUNDERS},
        "authors": tuple(f"author-{number}" for number in range(videos)),
        "unknown": 0,
        "duplicates": 0,
        "named": (),
    }
    return FeatureRows(**fields | changes)
