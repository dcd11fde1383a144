"""How a setting is declared: with its default, what it does, and whether changing it can change a result.

The mark matters on resume: *result* settings are part of a run's fingerprint, *execution* settings (threads, paths, limits
that only end things early) are not and may change between a run and its resumption.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

Effect = Literal["result", "execution"]


def result(default: Any, description: str, *, names_code: bool = False, **constraints: Any) -> Any:
    """A setting that can change what a run says.

    Args:
        default: its value where nothing else is given.
        description: what it does, for the help.
        names_code: whether it names a file that runs code as it is loaded, or vouches for such a file. A run's directory may be a
            stranger's: `runs resume` and `runs retry` take every result setting from it but these.
        constraints: pydantic's (`ge`, `le`, …).
    """
    return _setting("result", default, description, constraints, {"names_code": True} if names_code else {})


def execution(default: Any, description: str, **constraints: Any) -> Any:
    """A setting that changes how a run goes, never what it says. `constraints` are pydantic's (`ge`, `le`, …)."""
    return _setting("execution", default, description, constraints, {})


def split_at_commas(value: object) -> object:
    """A list that was written as one string, as environment and flags have it; anything else as it is. For a `BeforeValidator`."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _setting(effect: Effect, default: Any, description: str, constraints: dict[str, Any], marks: dict[str, Any]) -> Any:
    return Field(default=default, description=description, json_schema_extra={"effect": effect, **marks}, **constraints)


def result_settings(model: BaseModel) -> dict[str, Any]:
    """The values of all fields marked *result*, nested models included, as JSON values."""
    values = model.model_dump(mode="json")
    kept: dict[str, Any] = {}
    for name, info in type(model).model_fields.items():
        inner = getattr(model, name)
        if isinstance(inner, BaseModel):
            kept[name] = result_settings(inner)
        elif isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("effect") == "result":
            kept[name] = values[name]
    return kept
