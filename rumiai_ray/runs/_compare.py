"""Whether two columns say the same, value by value, floating-point numbers within a tolerance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray


def differs(left: pa.ChunkedArray[Any], right: pa.ChunkedArray[Any], tolerance: float) -> NDArray[np.bool_]:
    """Where two columns of equal length differ.

    Args:
        left: a column.
        right: its counterpart; of another type where the schema has changed.
        tolerance: two numbers a and b are the same where |a - b| ≤ tolerance · max(1, |a|, |b|).

    Returns:
        (rows,) true where the values differ; null is the same as null only, NaN as NaN.
    """
    one, other = _single(left), _single(right)
    missing, missing_other = _nulls(one), _nulls(other)
    found: NDArray[np.bool_] = np.not_equal(missing, missing_other)
    both = np.flatnonzero(~(missing | missing_other))
    if len(both):
        mine, theirs = one.take(pa.array(both, pa.int64())), other.take(pa.array(both, pa.int64()))
        found[both] = _lists_differ(mine, theirs, tolerance) if _of_floats(mine.type, theirs.type) else _differ(mine, theirs, tolerance)
    return found


def _differ(one: pa.Array[Any], other: pa.Array[Any], tolerance: float) -> NDArray[np.bool_]:
    if _is_float(one.type) or _is_float(other.type):
        if _is_number(one.type) and _is_number(other.type):
            return _far(one, other, tolerance)
    elif one.type == other.type and not pa.types.is_nested(one.type):
        return cast("NDArray[np.bool_]", pc.not_equal(one, other).to_numpy(zero_copy_only=False))
    return np.array([mine != theirs for mine, theirs in zip(one.to_pylist(), other.to_pylist(), strict=True)], dtype=np.bool_)


def _lists_differ(one: pa.Array[Any], other: pa.Array[Any], tolerance: float) -> NDArray[np.bool_]:
    lengths, lengths_other = (pc.list_value_length(array).to_numpy(zero_copy_only=False) for array in (one, other))
    found: NDArray[np.bool_] = lengths != lengths_other
    same = np.flatnonzero(~found)
    values, values_other = (pc.list_flatten(array.take(pa.array(same, pa.int64()))) for array in (one, other))
    rows = np.repeat(same, lengths[same])
    found[rows[differs(pa.chunked_array([values]), pa.chunked_array([values_other]), tolerance)]] = True
    return found


def _far(one: pa.Array[Any], other: pa.Array[Any], tolerance: float) -> NDArray[np.bool_]:
    mine, theirs = (array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) for array in (one, other))
    with np.errstate(invalid="ignore"):
        near = np.abs(mine - theirs) <= tolerance * np.maximum(1.0, np.maximum(np.abs(mine), np.abs(theirs)))
        infinite = ~(np.isfinite(mine) & np.isfinite(theirs))
        near[infinite] = (mine == theirs)[infinite] | (np.isnan(mine) & np.isnan(theirs))[infinite]
    return cast("NDArray[np.bool_]", ~near)


def _single(column: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    combined: Any = column.combine_chunks()
    return cast("pa.Array[Any]", combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined)


def _nulls(array: pa.Array[Any]) -> NDArray[np.bool_]:
    nulls: NDArray[np.bool_] = array.is_null().to_numpy(zero_copy_only=False).copy()
    return nulls


def _is_float(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _of_floats(*kinds: pa.DataType) -> bool:
    """Whether all are lists of floating-point numbers."""
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return all(any(is_list(kind) for is_list in lists) and _is_float(cast("pa.ListType[Any]", kind).value_type) for kind in kinds)
