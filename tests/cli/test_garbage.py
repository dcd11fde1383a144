"""When Python looks for garbage while a command starts, and afterwards."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from rumiai_ray.cli.garbage import WHILE_IMPORTING, imports_are_done

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_once_a_command_has_imported_all_garbage_is_looked_for_as_before() -> None:
    before = gc.get_threshold()
    gc.set_threshold(*WHILE_IMPORTING)
    imports_are_done()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() > 0


def test_the_process_of_somebody_who_only_calls_us_is_left_as_it_is() -> None:
    gc.set_threshold(1234, 5, 6)
    frozen = gc.get_freeze_count()
    imports_are_done()
    assert (gc.get_threshold(), gc.get_freeze_count()) == ((1234, 5, 6), frozen)
