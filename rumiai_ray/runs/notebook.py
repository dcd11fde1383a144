"""What a notebook shows of a run: how it ended, and how each model ended on each video."""

from __future__ import annotations

import html
import logging
from typing import TYPE_CHECKING, Any, Protocol

from rumiai_ray.errors import RumiaiError
from rumiai_ray.runs.protocols import RunRecords, RunTables
from rumiai_ray.shown import one_line, shown, terminal_safe

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOG = logging.getLogger(__name__)
_MOST_ROWS = 20
"""Videos and dead letters that are shown one by one."""


class ShownRun(RunTables, RunRecords, Protocol):
    """What is asked of a run: `runs.reader.Run`."""

    @property
    def status(self) -> str:
        """How it ended."""


def html_of(run: ShownRun) -> str:
    """HTML without scripts or styles that reach beyond it. A damaged run says so in place of its tables."""
    try:
        return f"<div>{_head(run, run.status)}{_videos(run)}{_dead_letters(run)}{_tables(run)}</div>"
    except RumiaiError as error:
        _LOG.debug("a run cannot be shown in a notebook: %s", error)
        return f"<div>{_head(run, 'unreadable')}<p>{_text(str(error))}</p></div>"


def _head(run: ShownRun, status: str) -> str:
    return f"<p>run <b>{_text(run.run_id)}</b>: {status}, in <code>{_text(run.store.uri())}</code></p>"


def _videos(run: ShownRun) -> str:
    videos = run.table("videos", ["video_key", "input", "duration_s"]).to_pylist()
    if not videos:
        return "<p>no video is committed</p>"
    shown_keys = {video["video_key"] for video in videos[:_MOST_ROWS]}
    ended: dict[str, dict[str, str]] = {}
    for row in run.table("analyses", ["video_key", "model_name", "status", "rows"]).to_pylist():
        if row["video_key"] in shown_keys:
            count = "" if row["rows"] is None else f", {row['rows']:,} {'row' if row['rows'] == 1 else 'rows'}"
            ended.setdefault(row["video_key"], {})[row["model_name"]] = f"{row['status']}{count}"
    models = list(dict.fromkeys(name for of_video in ended.values() for name in of_video))
    rows = [
        [video["input"], "" if video["duration_s"] is None else f"{video['duration_s']:.2f}"]
        + [ended.get(video["video_key"], {}).get(name, "") for name in models]
        for video in videos[:_MOST_ROWS]
    ]
    return _table(["video", "seconds", *models], rows) + _more(len(videos), "videos")


def _dead_letters(run: ShownRun) -> str:
    dead = run.table("dead_letter", ["input", "error_class", "error_message"]).to_pylist()
    rows = [[row["input"], f"{row['error_class']}: {row['error_message']}"] for row in dead[:_MOST_ROWS]]
    return _table(["dead letter", "reason"], rows) + _more(len(dead), "dead letters") if dead else ""


def _tables(run: ShownRun) -> str:
    names = ", ".join(f"<code>{_text(name)}</code>" for name in run.tables())
    return (
        f'<p>tables: {names}; <code>run.pandas("objects")</code> or <code>run.query("SELECT …")</code> reads a table</p>' if names else ""
    )


def _more(count: int, what: str) -> str:
    return f"<p>… and {count - _MOST_ROWS:,} more {what}</p>" if count > _MOST_ROWS else ""


def _table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{_text(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{_text(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    return html.escape(one_line(terminal_safe(shown(text))))
