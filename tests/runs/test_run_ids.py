from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rumiai_ray.errors import ConfigError
from rumiai_ray.runs.ids import check_run_id, new_run_id


def test_a_new_id_begins_with_the_time_in_utc_wherever_the_clock_stands() -> None:
    tokyo = datetime(2026, 11, 23, 0, 7, 12, tzinfo=timezone(timedelta(hours=9)))
    assert new_run_id(tokyo).startswith("20261122T150712Z-")


def test_ids_sort_by_time_and_two_of_one_second_differ() -> None:
    now = datetime(2026, 11, 22, 15, 7, 12, tzinfo=UTC)
    assert new_run_id(now) < new_run_id(now + timedelta(seconds=1))
    assert len({new_run_id(now) for _ in range(20)}) == 20
    assert check_run_id(new_run_id(now))


@pytest.mark.parametrize(
    "bad", ["", ".", "..", "../other", "a/b", "a\\b", "-rf", "a b", "a\n", "run*", "é", "x" * 101, "s3://b", "~root", "a\0"]
)
def test_an_id_that_could_be_a_path_an_option_or_a_pattern_is_refused(bad: str) -> None:
    with pytest.raises(ConfigError, match="not a run id"):
        check_run_id(bad)


@given(st.text(max_size=30))
def test_whatever_is_accepted_is_one_harmless_path_component(text: str) -> None:
    try:
        accepted = check_run_id(text)
    except ConfigError:
        return
    assert accepted.isascii()
    assert not set(accepted) & set("/\\*?[]~$ \n\0")
    assert accepted[0].isalnum()
