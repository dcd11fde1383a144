"""A family that a stranger adds: a schema module, a model module and one line of the catalogue, and nothing else.

The product is copied, the toy family is written into the copy, and the command line of the copy is used as always.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from product import ROOT, Ran, rumiai_ray
from rumiai_ray.cli.exits import Exit
from rumiai_ray.runs.reader import open_run
from synthetic_clips import grid_times_s, make_clip

if TYPE_CHECKING:
    from pathlib import Path

TROUBLED = int(Exit.TROUBLED)
SCHEMA = '''
"""Table of the toy family."""

import pyarrow as pa

from rumiai_ray.schema.table import FRAME, Table, box, column, track_id

BLOBS = Table(
    "blobs",
    1,
    "One bright blob in one sampled frame.",
    (
        *FRAME,
        column("blob_index", pa.int32(), "The blob's number within its frame.", range_="0.."),
        column("brightness", pa.float32(), "Mean brightness.", range_="0..255"),
        *box("blob"),
        column("pixels", pa.list_(pa.uint8()), "All red values of the blob's first row."),
    ),
    (track_id("blob"),),
    key=("video_key", "frame_index", "blob_index"),
    made_by=("toy",),
    bulky=("pixels",),
    tracked_as="blob",
)

TABLES = (BLOBS,)
'''

MODEL = '''
"""A toy family: the whole picture is one blob."""

from rumiai_ray.models.base import FrameBatch, Model, ModelSettings, Prediction
from rumiai_ray.models.weights.files import Candidate
from rumiai_ray.schema.toy import BLOBS, TABLES
from rumiai_ray.settings import result


class ToySettings(ModelSettings):
    """Settings of the toy family."""

    brighter: float = result(0.0, "added to every brightness")


class Toy(Model[ToySettings, FrameBatch]):
    """One blob a frame."""

    name = "toy"
    tables = TABLES
    packages = ("numpy", "jinja2")
    opt_in = True

    @classmethod
    def candidates(cls, settings: ToySettings) -> tuple[Candidate, ...]:
        """The one there is."""
        return (
            Candidate(
                backend="toy/mean", package="jinja2", files=(), profiles=("standard", "offline"), precision="fp64",
                runs_on_gpu=False, memory_gb=0.1,
            ),
        )

    def load(self) -> None:
        """Nothing to load."""

    def predict(self, batch: FrameBatch) -> Prediction:
        """One row a frame."""
        rows = [
            {
                "frame_index": int(index), "time_s": float(time_s), "blob_index": 0,
                "brightness": float(image.mean()) + self.settings.brighter, "x1": 0.0, "y1": 0.0,
                "x2": float(batch.source_width_px), "y2": float(batch.source_height_px), "pixels": image[0, :, 0].tolist(),
            }
            for index, time_s, image in zip(batch.frame_index, batch.time_s, batch.images, strict=True)
        ]
        return Prediction({BLOBS.name: BLOBS.rows(rows)})
'''


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product with the toy family in it."""
    folder = tmp_path_factory.mktemp("toy")
    copy = folder / "rumiai_ray"
    shutil.copytree(ROOT / "rumiai_ray", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "schema" / "toy.py").write_text(SCHEMA)
    (copy / "models" / "toy").mkdir()
    (copy / "models" / "toy" / "__init__.py").write_text('"""The toy family."""\n')
    (copy / "models" / "toy" / "model.py").write_text(MODEL)
    catalogue = copy / "models" / "catalogue.py"
    line = '    "sound": "rumiai_ray.models.signals.sound:Sound",\n'
    text = catalogue.read_text()
    assert line in text
    catalogue.write_text(text.replace(line, f'{line}    "toy": "rumiai_ray.models.toy.model:Toy",\n'))
    return folder


def verb(product: Path, *arguments: str | Path, code: int = 0) -> Ran:
    """One verb of the copy; it sees no settings but those given."""
    own = {"RUMIAI_STORE": str(product / "store"), "RUMIAI_OUT": str(product / "runs"), "RUMIAI_PROFILE": "offline", "COLUMNS": "200"}
    ran = rumiai_ray(*arguments, cwd=product, package=product, variables=own)
    assert ran.code == code, (arguments, ran.stdout, ran.stderr)
    return ran


@pytest.fixture(scope="module")
def runs(product: Path) -> dict[str, dict[str, Any]]:
    """Two batch runs of two clips, the second with brighter blobs."""
    clips = [make_clip(product / f"{name}.mp4", grid_times_s(25, length)) for name, length in (("a", 2), ("b", 1))]
    (product / "batch.csv").write_text("id,input\n" + "".join(f"{clip.stem},{clip}\n" for clip in clips))
    made = {}
    for name, further in (("plain", ()), ("bright", ("--toy-brighter", "5"))):
        verb(product, "batch", "--manifest", "batch.csv", "--models", "toy", "--run-id", name, *further)
        made[name] = open_run(product / "runs" / name).manifest.model_dump(mode="json")
    return made


def test_the_manifest_records_the_toy_s_packages_settings_and_tables(runs: dict[str, dict[str, Any]]) -> None:
    manifest = runs["bright"]
    assert {"numpy", "jinja2", "ultralytics"} <= manifest["packages"].keys()
    assert manifest["tables"]["blobs"] == 1
    assert manifest["result_settings"]["toy"] == {"brighter": 5.0}


def test_its_boxes_are_linked_into_tracks(product: Path, runs: dict[str, dict[str, Any]]) -> None:
    del runs
    run = open_run(product / "runs" / "plain")
    tracks = run.table("tracks").to_pylist()
    assert {(row["of"], row["label"]) for row in tracks} == {("blobs", "blob")}


def test_two_runs_are_compared_by_the_toy_s_own_key(product: Path, runs: dict[str, dict[str, Any]]) -> None:
    del runs
    ran = verb(product, "runs", "diff", "plain", "bright", "--json", code=TROUBLED)
    (blobs,) = [table for table in json.loads(ran.stdout)["tables"] if table["name"] == "blobs"]
    assert (blobs["gone"], blobs["new"]) == (0, 0)
    assert blobs["changed"] == blobs["rows"][0] > 0
    assert blobs["columns"][0][0] == "brightness"
    assert set(blobs["examples"][0]["key"]) == {"video_key", "frame_index", "blob_index"}


def test_a_resumed_run_gives_the_toy_s_rows_of_an_undisturbed_one(product: Path, runs: dict[str, dict[str, Any]]) -> None:
    del runs
    verb(product, "batch", "--manifest", "batch.csv", "--models", "toy", "--run-id", "cut", "--engine-group-age-s", "0.01")
    # As a kill leaves it that came before any commit: the data files are there, and no record names them.
    for record in (product / "runs" / "cut" / "commits").iterdir():
        record.unlink()
    assert not open_run(product / "runs" / "cut").records
    verb(product, "runs", "resume", "cut", "--models", "toy")
    ran = verb(product, "runs", "diff", "plain", "cut", "--json")
    (blobs,) = [table for table in json.loads(ran.stdout)["tables"] if table["name"] == "blobs"]
    assert blobs["rows"][0] == blobs["rows"][1] > 0
    assert (blobs["gone"], blobs["new"], blobs["changed"]) == (0, 0, 0)


def test_a_report_names_the_toy_among_the_models_of_the_run(product: Path, runs: dict[str, dict[str, Any]]) -> None:
    del runs
    verb(product, "report", "plain", "--to", "page")
    assert "toy" in (product / "page" / "index.html").read_text()


def test_exports_and_the_plan_know_the_toy(product: Path, runs: dict[str, dict[str, Any]]) -> None:
    del runs
    verb(product, "export", "plain", "--to", "csv")
    assert "brightness" in (product / "csv" / "blobs.csv").read_text().splitlines()[0]
    assert "toy" in verb(product, "plan", "--models", "toy", "--profile", "offline").stdout
    assert "toy" in verb(product, "weights", "ls", "--models", "toy").stdout
    assert "blobs" in verb(product, "schema", "blobs").stdout


def test_a_family_that_is_opt_in_does_not_run_unasked(product: Path) -> None:
    said = verb(product, "plan", "--help-all").stdout
    assert "--toy-brighter" in said
    assert "toy" not in verb(product, "weights", "ls").stdout
