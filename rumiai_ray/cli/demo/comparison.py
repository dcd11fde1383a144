"""What was put into the demo clip beside what the models made of it, scene by scene, read from the run's committed rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from rich.table import Table

from rumiai_ray.cli.demo.clip import CAPTION_BOTTOM_PX, CAPTION_TOP_PX, SCENE_S, SCENES
from rumiai_ray.cli.terminal import SafeConsole
from rumiai_ray.schema.ocr import TEXTS
from rumiai_ray.schema.run import Status
from rumiai_ray.schema.whisper import WORDS
from rumiai_ray.schema.yolo import OBJECTS

if TYPE_CHECKING:
    from rumiai_ray.runs.reader import Run


def print_comparison(run: Run, *, spoken: bool) -> None:
    """One table on stdout.

    Args:
        run: of the demo clip alone.
        spoken: whether the clip has speech.
    """
    seen, read, heard = objects_seen(run), captions_read(run), sentences_heard(run)
    nothing = _nothing(run)
    table = Table("seconds", "", "put in", "came out", title="The demo clip", title_justify="left")
    for number, scene in enumerate(SCENES):
        table.add_row(f"{number * SCENE_S:.1f} to {(number + 1) * SCENE_S:.1f}", "picture", scene.shows, seen.get(number, nothing["yolo"]))
        table.add_row("", "caption", scene.caption, read.get(number, nothing["ocr"]))
        table.add_row("", "speech", scene.sentence if spoken else "(none)", heard.get(number, nothing["whisper"]), end_section=True)
    SafeConsole().print(table)


def objects_seen(run: Run) -> dict[int, str]:
    """By scene, the labels found in at least half of those frames in which anything was found, the most frequent first."""
    frames: defaultdict[float, set[str]] = defaultdict(set)
    if OBJECTS.name in run.tables():
        for row in run.table(OBJECTS.name, ["time_s", "label"]).to_pylist():
            frames[row["time_s"]].add(row["label"])
    scenes: defaultdict[int, list[set[str]]] = defaultdict(list)
    for time_s, labels in frames.items():
        scenes[_scene(time_s)].append(labels)
    return {number: ", ".join(_common(found)) for number, found in scenes.items()}


def captions_read(run: Run) -> dict[int, str]:
    """By scene, what was read where the caption is; the most frequent reading of its frames."""
    frames: defaultdict[float, list[tuple[float, str]]] = defaultdict(list)
    if TEXTS.name in run.tables():
        for row in run.table(TEXTS.name, ["time_s", "text", "x1", "y1", "y2"]).to_pylist():
            if row["text"] is not None and CAPTION_TOP_PX < (row["y1"] + row["y2"]) / 2 < CAPTION_BOTTOM_PX:
                frames[row["time_s"]].append((row["x1"], row["text"]))
    scenes: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for time_s, texts in sorted(frames.items()):
        scenes[_scene(time_s)][" ".join(text for _, text in sorted(texts))] += 1
    return {number: readings.most_common(1)[0][0] for number, readings in scenes.items()}


def sentences_heard(run: Run) -> dict[int, str]:
    """By scene, the words whose middle lies in it."""
    scenes: defaultdict[int, list[str]] = defaultdict(list)
    if WORDS.name in run.tables():
        for row in run.table(WORDS.name, ["word_index", "start_s", "end_s", "word"]).sort_by("word_index").to_pylist():
            scenes[_scene((row["start_s"] + row["end_s"]) / 2)].append(row["word"])
    return {number: " ".join(words) for number, words in scenes.items()}


def _scene(time_s: float) -> int:
    # A time computed from a frame's number can fall short of the scene's beginning by a rounding error.
    return int((time_s + 1e-6) / SCENE_S)


def _common(found: list[set[str]]) -> list[str]:
    counts = Counter(label for labels in found for label in sorted(labels))
    return [label for label, count in counts.most_common() if 2 * count >= len(found)]


def _nothing(run: Run) -> defaultdict[str, str]:
    """By model, what to say of a scene it has no rows for: it found nothing, or it did not get to look."""
    looked = {Status.OK, Status.EMPTY, Status.DEGRADED}
    rows = run.table("analyses", ["model_name", "status"]).to_pylist()
    said = {row["model_name"]: "(nothing)" if row["status"] in looked else f"({row['status']})" for row in rows}
    return defaultdict(lambda: "(not run)", said)
