"""From settings to everything a run needs, checked before anything slow: weights chosen, store and limits made, run id named."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from rumiai_ray.engine.work.entry_reader import Stage
from rumiai_ray.errors import ConfigError
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.frames.sampling import SamplingSpec
from rumiai_ray.frames.shared.store import Remote
from rumiai_ray.frames.store.store import FrameStore
from rumiai_ray.ingest.limits import FetchLimits, Manners
from rumiai_ray.ingest.rules import InputRules
from rumiai_ray.ingest.upstream import ENVIRONMENT, Upstream, proxy_from_environment
from rumiai_ray.insights.calls_to_action import EVERY_PHRASE
from rumiai_ray.insights.thresholds import Thresholds
from rumiai_ray.runs.ids import check_run_id, new_run_id
from rumiai_ray.runs.manifest import RunManifest
from rumiai_ray.runs.reader import open_run, run_at
from rumiai_ray.runs.writer import MANIFEST, RunWriter, check_free, check_same
from rumiai_ray.storage import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rumiai_ray.config import BaseConfig
    from rumiai_ray.ingest.table import EntryFile
    from rumiai_ray.models.base import ModelPlan
    from rumiai_ray.runs.reader import Run
    from rumiai_ray.runs.shards import Shard

_LEASE_MARGIN_S = 60.0
"""What a turn at a host outlasts the timeout of its download by."""


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to begin. Nothing has been written yet."""

    config: BaseConfig
    models: tuple[ModelPlan, ...]
    store: FrameStore
    limits: FetchLimits
    entries: EntryFile
    manifest: RunManifest
    shard: Shard | None = None
    """The one that is to be done of a run with shards."""

    def check_free(self) -> None:
        """See that `create_run` would find no other run in its way, before anything slow.

        Raises:
            ConfigError: a run of this id exists; for a shard, one that it is not of, or the shard was begun already.
            StorageError: for a shard, the run is damaged.
        """
        if self.shard is None or self._shard_of_run(self.shard) is None:
            check_free(self.config.out, self.manifest.run_id)

    def create_run(self) -> RunWriter:
        """Make the run's directory and write its manifest.

        Raises:
            ConfigError: a run of this id exists, or the file system does not refuse to create a file twice.
            StorageError: the directory cannot be written.
        """
        return RunWriter.create(
            self.config.out,
            self.manifest,
            entries=self.entries.data,
            locations=self.entries.secret,
            shared=self.config.shared,
            shard=self.shard,
        )

    def take_shard(self, shard: Shard) -> tuple[RunWriter, Run]:
        """Begin a shard: of a run that its first driver makes, and that the others find.

        Returns:
            Its writer, and the shard as it is: without a record.

        Raises:
            ConfigError: as `create_run` and `check_free`.
            StorageError: the directory cannot be written, or the run is damaged.
        """
        run = self._shard_of_run(shard)
        if run is None:
            try:
                return self.create_run(), replace(open_run(self._directory.uri()), shard=shard)
            except ConfigError:
                run = self._shard_of_run(shard)  # another shard's driver may have been faster
                if run is None:
                    raise
        run.store.prove_exclusive(MANIFEST, run.store.read(MANIFEST))
        return RunWriter.resume(run, self.manifest), run

    @property
    def _directory(self) -> Store:
        return Store.at(self.config.out).below(self.manifest.run_id)

    def _shard_of_run(self, shard: Shard) -> Run | None:
        """The shard of the run, where there is a run already."""
        found = run_at(self._directory)
        if found is None:
            return None
        check_same(found, self.manifest)
        run = replace(found, shard=shard)
        if run.log.next_sequence:
            hint = f"go on with it: `rumiai-ray runs resume {self.manifest.run_id} --shard {shard}`, once no driver is at it"
            raise ConfigError(f"shard {shard} was begun already", run.store.uri(), hint)
        return run

    def resume_run(self, run: Run) -> RunWriter:
        """Take over a run whose writer is gone, as of when `run` was read.

        Raises:
            ConfigError: it was started with other code, weights or settings (shows the difference), or its directory has another name.
            StorageError: the run is damaged.
        """
        return RunWriter.resume(run, self.manifest)

    def stage(self, workdir: Path) -> Stage:
        """What turns entries into rows of work. `workdir` holds downloads while they are needed."""
        batch_frames = self.config.engine.batch_frames
        return Stage(self.manifest.run_id, self.models, self.store, self.limits, workdir, batch_frames, thresholds(self.config))


def prepare(
    config: BaseConfig,
    models: Sequence[ModelPlan],
    entries: EntryFile,
    *,
    command: Sequence[str],
    run_id: str | None = None,
    shard: Shard | None = None,
) -> Prepared:
    """Name the run, open the store, write down what is going to run.

    Args:
        config: all settings.
        models: what was chosen.
        entries: of the run as a whole.
        command: the command line.
        run_id: its name; made up where there is none.
        shard: the part of the entries that is to be done.

    Raises:
        ConfigError: the run id cannot name a run, or the shared frame store is no place.
        StorageError: the frame store cannot be written, or the shared one cannot be used.
    """
    name = check_run_id(run_id) if run_id else new_run_id(datetime.now(UTC))
    manifest = RunManifest.of_now(
        name,
        command=command,
        config=config,
        plans=models,
        sampling=asdict(sampling_spec(config)),
        entries=(len(entries), entries.sha256, uuid4().hex if entries.secret else ""),
    )
    if shard is not None:
        manifest = manifest.divided(shard.of)
    return Prepared(config, tuple(models), open_store(config), fetch_limits(config), entries, manifest, shard)


def open_store(config: BaseConfig) -> FrameStore:
    """The frame store under `config`, and the shared one behind it, tried out.

    Raises:
        ConfigError: there is no such shared directory, or no driver for its URI.
        StorageError: the store cannot be written, or the shared one cannot be used.
    """
    return FrameStore(
        config.store.expanduser().absolute(),
        spec=sampling_spec(config),
        limits=decode_limits(config),
        max_bytes=int(config.store_max_gb * 1e9),
        remote=None if config.store_remote is None else Remote.at(config.store_remote).checked(),
        shared=config.shared,
    )


def sampling_spec(config: BaseConfig) -> SamplingSpec:
    """The frame store's sampling under `config`."""
    sampling = config.sampling
    return SamplingSpec(fps=sampling.fps, long_side_px=sampling.long_side_px, jpeg_quality=sampling.jpeg_quality)


def decode_limits(config: BaseConfig) -> DecodeLimits:
    """The decoder's limits under `config`."""
    limits = config.limits
    return DecodeLimits(
        wall_s=limits.decode_timeout_s,
        cpu_s=int(limits.decode_timeout_s),
        memory_bytes=limits.decode_memory_mb * 2**20,
        max_pixels=limits.max_pixels,
        max_duration_s=limits.max_duration_s,
        max_frames=limits.max_frames,
        max_file_bytes=limits.max_input_mb * 2**20,
        reserve_bytes=limits.disk_reserve_mb * 2**20,
        require_sandbox=limits.require_sandbox,
    )


def thresholds(config: BaseConfig) -> Thresholds:
    """What the insights are cut at under `config`."""
    asked = config.insights.model_dump()
    return Thresholds(**asked | {"call_to_action": asked["call_to_action"] or EVERY_PHRASE})


def manners(config: BaseConfig) -> Manners:
    """How hosts are treated under `config`."""
    limits = config.limits
    return Manners(
        downloads=limits.host_downloads,
        interval_s=limits.host_interval_s,
        refusals=limits.host_refusals,
        longest_wait_s=FetchLimits().retry_max_s,
        lease_s=limits.download_timeout_s + _LEASE_MARGIN_S,
    )


def fetch_limits(config: BaseConfig) -> FetchLimits:
    """The limits of one fetch under `config`.

    Raises:
        ConfigError: the proxy is none that can be used.
    """
    limits = config.limits
    proxy = proxy_from_environment() if config.proxy == ENVIRONMENT else config.proxy
    if proxy is not None:
        Upstream.parse(proxy)
    return FetchLimits(
        max_bytes=limits.max_input_mb * 2**20,
        total_s=limits.download_timeout_s,
        allow_private_hosts=limits.private_hosts,
        cookies_file=config.cookies,
        require_sandbox=limits.require_sandbox,
        site_memory_bytes=limits.download_memory_mb * 2**20,
        impersonate=config.impersonate,
        resolution_px=config.resolution,
        rules=InputRules(limits.inputs, limits.roots, limits.buckets, limits.hosts, limits.denied_networks),
        scratch_bytes=limits.scratch_max_mb * 2**20,
        reserve_bytes=limits.disk_reserve_mb * 2**20,
        proxy=proxy,
    )
