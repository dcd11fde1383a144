"""Outer timeouts exceed inner ones, whatever the settings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.config import Engine
from rumiai_ray.engine.setup.timeouts import answer_timeout_s, stall_timeout_s

SECONDS = st.floats(0.1, 1e5)


@given(SECONDS, SECONDS, SECONDS, SECONDS, st.integers(1, 10))
def test_a_run_outwaits_its_cells_its_readers_and_its_writers(call: float, start: float, entry: float, write: float, attempts: int) -> None:
    engine = Engine(call_timeout_s=call, start_timeout_s=start, entry_timeout_s=entry, write_timeout_s=write, attempts=attempts)
    assert answer_timeout_s(engine) > attempts * (call + start)
    assert stall_timeout_s(engine) > max(answer_timeout_s(engine), attempts * entry, attempts * write)


def test_a_limit_the_user_has_set_is_kept() -> None:
    assert stall_timeout_s(Engine(stall_timeout_s=7)) == 7
