"""Secrets planted wherever an input can bring one are in nothing that a run leaves or prints, but for the one file that a resume needs."""

from __future__ import annotations

import stat
import threading
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
import ray

from batches import TABLES, Kit, _Watcher
from numbered_clips import numbered_clip
from planted import COLUMN, COOKIE, ID, REFLECTED, REFUSED, SIGNATURE, TOKEN, Origin, everything, leaks
from rumiai_ray.cli.endings import tell
from rumiai_ray.cli.failures import print_failures
from rumiai_ray.cli.run_list import listed, print_runs
from rumiai_ray.cli.summary import print_json, print_tables
from rumiai_ray.config import load_config
from rumiai_ray.engine.batch import BatchRun
from rumiai_ray.engine.setup.machines import plan_of_ray
from rumiai_ray.engine.setup.resume import of_resumed, to_retry
from rumiai_ray.engine.setup.run_setup import fetch_limits, open_store, sampling_spec, thresholds
from rumiai_ray.engine.work.entry_reader import Stage
from rumiai_ray.ingest.entries import read_manifest
from rumiai_ray.ingest.table import EntryFile
from rumiai_ray.runs.export.tables import export_features, export_tables
from rumiai_ray.runs.manifest import RunManifest
from rumiai_ray.runs.reader import open_run
from rumiai_ray.runs.writer import RunWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.engine.ray_session.local import LocalRay
    from rumiai_ray.runs.reader import Run


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    server = Origin(numbered_clip(tmp_path / "clip.mp4", 5).read_bytes())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


class SecretKit(Kit):
    """A kit whose runs keep their entries as the command line's do."""

    @property
    def config(self) -> BaseConfig:
        (self.place / "cookies.txt").write_text(f"# Netscape HTTP Cookie File\n.h.example\tTRUE\t/\tTRUE\t0\tsession\t{COOKIE}\n")
        flags: dict[str, Any] = {"store": str(self.place / "store"), "out": str(self.place / "runs")}
        flags |= {"cookies": str(self.place / "cookies.txt"), "limits": {"private_hosts": True}}
        return load_config(flags={**flags, "engine": {"batch_frames": 4, "group_age_s": 0.5, "stall_timeout_s": 240, "attempts": 2}})

    def manifest(self, run_id: str, file: EntryFile, command: list[str]) -> RunManifest:
        made = RunManifest.of_now(
            run_id,
            command=command,
            config=self.config,
            plans=self.models,
            sampling=asdict(sampling_spec(self.config)),
            entries=(len(file), file.sha256, uuid4().hex if file.secret else ""),
        )
        versions = {name: table.version for name, table in TABLES.items()}
        return made.model_copy(update={"tables": versions, "source_sha256": self.here.code_sha256})

    def go(self, writer: RunWriter, entries: Any, count: int) -> Run:
        config, run_id = self.config, writer.manifest.run_id
        stage = Stage(run_id, self.models, open_store(config), fetch_limits(config), self.place / "work", 4, thresholds(config))
        watcher = _Watcher(None)
        batch = BatchRun(config, stage, writer, self.here, plan_of_ray(config, self.models), watcher)
        watcher.batch = batch
        writer.finish(batch.run(entries, count), {})
        return open_run(writer.run.uri())


def test_planted_secrets_are_in_nothing_that_a_run_leaves_and_resume_and_retry_still_know_them(
    ray_here: LocalRay, origin: Origin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = SecretKit(ray_here, tmp_path / "place")
    kit.place.mkdir()
    at = f"http://127.0.0.1:{origin.server_port}"
    rows = [
        ("signed", f"{at}/signed.mp4?X-Amz-Date=1&X-Amz-Signature={SIGNATURE}", f"{at}/poster.jpg?x-signature={COLUMN}"),
        ("token", f"{at}/token.mp4?token={TOKEN}", ""),
        (f"{at}/away?id={ID}", f"{at}/away.mp4", ""),
        ("refused", f"https://me:{REFUSED}@h.example/a.mp4", ""),
        ("reflected", f"{at}/reflect.mp4?k={REFLECTED}", ""),
    ]
    listing = tmp_path / "list.csv"
    listing.write_text("id,input,poster\n" + "".join(",".join(row) + "\n" for row in rows))
    assert len(leaks(iter([(listing, listing.read_bytes())]))) == 6, "the look for secrets finds them"
    file = EntryFile.of(read_manifest(str(listing)))
    command = ["rumiai-ray", "analyze", rows[0][1], f"--x=http://me:{REFUSED}@h/"]

    # Created, and killed before the first commit.
    RunWriter.create(kit.config.out, kit.manifest("first", file, command), TABLES, entries=file.data, locations=file.secret)
    broken = open_run(kit.place / "runs" / "first")
    left = of_resumed(broken)
    run = kit.go(RunWriter.resume(broken, kit.manifest("first", file, command), TABLES), left.entries, left.count)
    states = run.entries()
    assert states["signed"] == "committed"
    assert sum(state == "dead_lettered" for state in states.values()) == 4

    origin.open = True
    again = to_retry(run)
    writer = RunWriter.create(kit.config.out, kit.manifest("second", again, command), TABLES, entries=again.data, locations=again.secret)
    second = kit.go(writer, again, len(again))
    assert second.table("videos")["entry_id"].to_pylist() == ["token"]

    for one in (run, second):
        tell(one)
        print_tables(one)
        print_json(one)
        print_failures(one)
        print_failures(one, as_json=True)
        print_runs([listed(one)])
        export_tables(one, tmp_path / "exports" / one.run_id, "csv", raw=True)
        export_features(one, tmp_path / "exports" / f"{one.run_id}.csv", raw=True)
    printed = capsys.readouterr()
    assert "signed.mp4?…" in printed.out
    (tmp_path / "printed").mkdir()
    (tmp_path / "printed" / "all.txt").write_text(printed.out + printed.err)
    (tmp_path / "place" / "cookies.txt").unlink()
    for place in (kit.place, tmp_path / "exports", tmp_path / "printed"):
        assert leaks(everything(place)) == []
    session = Path(ray.get_runtime_context().worker.node.get_session_dir_path())
    assert leaks(everything(session / "logs")) == []
    node = ray.nodes()[0]  # type: ignore[no-untyped-call]
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{node['MetricsExportPort']}/metrics").read()
    assert leaks(iter([(Path("metrics"), metrics)])) == []

    # The one exception, which nobody but the owner can read.
    (private,) = (kit.place / "runs" / "first" / "private").iterdir()
    assert SIGNATURE in str(pq.read_table(private).to_pylist())
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((kit.place / "runs" / "first").stat().st_mode) == 0o700
    assert stat.S_IMODE((kit.place / "store").stat().st_mode) == 0o700
