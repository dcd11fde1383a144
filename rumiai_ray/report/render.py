"""From gathered facts to HTML: Jinja templates with escaping on, style and script inside, a policy that lets nothing else in.

The policy names the digests of the one style sheet and the one script, and images only as `data:`. So a page opens no connection, and
even a string that found a way around the escaping could not run or load anything.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rumiai_ray import __version__
from rumiai_ray.report.values import clock
from rumiai_ray.shown import terminal_safe

if TYPE_CHECKING:
    from rumiai_ray.report.cohort_page import CohortPage
    from rumiai_ray.report.corpus_page import CorpusPage
    from rumiai_ray.report.run_page import RunPage
    from rumiai_ray.report.video_page import VideoPage

_TEMPLATES = "templates"


def render(template: str, page: RunPage | VideoPage | CohortPage | CorpusPage, home: str | None = None) -> str:
    """The HTML of a page.

    Args:
        template: name of the template.
        page: what stands on it.
        home: address of the run's page, for the way back; None where it was not written.
    """
    style, script = _asset("style.css"), _asset("script.js")
    allowed = f"img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    values = {field.name: getattr(page, field.name) for field in fields(page)}
    # The two assets are this package's own files: the only text that goes into a page as it is.
    assets = {"style": Markup(style), "script": Markup(script)}  # noqa: S704
    return _environment().get_template(template).render(**values, **assets, home=home, version=__version__, policy=policy)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rumiai_ray.report", _TEMPLATES),
        autoescape=True,
        # Escaping keeps text from being markup; this keeps text from reordering or hiding what stands beside it.
        finalize=lambda value: terminal_safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    return environment


@cache
def _asset(name: str) -> str:
    return (files("rumiai_ray.report") / _TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
