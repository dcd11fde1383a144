"""An entry that is put off gives back what it had claimed in an earlier round."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rumiai_ray.engine.work import ray_data_source as under_test
from rumiai_ray.engine.work.entry_registry import Claims
from rumiai_ray.engine.work.ray_data_source import ReadPolicy
from rumiai_ray.ingest.entries import Entry
from rumiai_ray.ingest.limits import Manners
from rumiai_ray.ingest.manners import Host
from rumiai_ray.ingest.table import entry_table

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class _Handle:
    """The actor's handle, of an object in this process."""

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=getattr(self._claims, name))


def test_the_bytes_of_an_entry_that_is_put_off_go_to_the_next_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = Claims({}, Manners(refusals=1))
    assert claims.claim("video", "post"), "in a round whose rows were lost"
    claims.host_refused("site.example", "HTTP 429", None, "other")
    monkeypatch.setattr(under_test, "ray", SimpleNamespace(get=lambda answer: answer))
    monkeypatch.setattr(under_test, "configure_worker", lambda: None)
    monkeypatch.setattr(under_test, "store_seen", lambda *_: None)
    monkeypatch.setattr(under_test, "encode", lambda works: works)
    monkeypatch.setattr(under_test, "host_of", lambda _: Host("site.example", paced=True))
    stage: Any = SimpleNamespace(
        run_id="r", workdir=tmp_path, store=SimpleNamespace(root=tmp_path), put_off=lambda entry, paused: (entry.entry_id, paused.host)
    )
    rows: list[Any] = list(
        under_test._rows(entry_table([Entry("post", "https://site.example/1")]), stage, _Handle(claims), ReadPolicy(1, 1, 3, 60.0))
    )
    assert rows == [[("post", "site.example")]]
    assert claims.claim("video", "copy")
