"""Every setting of a run, from four places: defaults, a TOML file, `RUMIAI_*` variables, flags; the later wins.

A setting has one name everywhere: `ocr.canvas_px` is `[ocr] canvas_px = …` in TOML, `RUMIAI_OCR_CANVAS_PX` in the
environment and `--ocr-canvas-px` on the command line. The models' own settings are taken from their modules.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo, create_model, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from rumiai_ray.errors import ConfigError
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.ingest.limits import FetchLimits, Manners
from rumiai_ray.ingest.rules import INPUT_KINDS, InputRules, check_rule
from rumiai_ray.models.base import ModelSettings
from rumiai_ray.models.catalogue import MODELS, default_models, model_class
from rumiai_ray.models.weights.choice import user_cache
from rumiai_ray.models.weights.files import Profile
from rumiai_ray.settings import execution, result, split_at_commas

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ENV_PREFIX",
    "BaseConfig",
    "Config",
    "Engine",
    "Group",
    "Insights",
    "Limits",
    "Sampling",
    "flat_settings",
    "load_config",
    "user_cache",
]

ENV_PREFIX = "RUMIAI_"

_Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas)]


class Group(BaseModel):
    """A named group of settings, e.g. everything under `[sampling]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sampling(Group):
    """Which frames of a video are kept, and how."""

    fps: float | None = result(
        None, "frames sampled per second of video; by default 5 for videos under 30 s, 3 under 60 s, 2 under 120 s, else 1", gt=0, le=60
    )
    long_side_px: int = result(1280, "longest side of the stored frames, in pixels", ge=64, le=4096)
    jpeg_quality: int = result(95, "JPEG quality of the stored frames", ge=50, le=100)


_DECODE, _FETCH, _MANNERS = DecodeLimits(), FetchLimits(), Manners()
"""Where the limits' defaults stand: the rooms that enforce them may be used without settings."""
_MB = 2**20


class Limits(Group):
    """Limits on inputs. A video that exceeds one is reported as a typed error and never analysed in part."""

    max_input_mb: int = execution(_DECODE.max_file_bytes // _MB, "largest input file, in MB", ge=1)
    max_duration_s: float = execution(_DECODE.max_duration_s, "longest video, in seconds", gt=0)
    max_pixels: int = execution(_DECODE.max_pixels, "largest picture, width times height in pixels", ge=1)
    max_frames: int = execution(_DECODE.max_frames, "largest number of frames decoded from one video", ge=1)
    decode_timeout_s: float = execution(_DECODE.wall_s, "timeout for decoding one video, in seconds", gt=0)
    decode_memory_mb: int = execution(_DECODE.memory_bytes // _MB, "address space of the decoder process, in MB", ge=256)
    download_timeout_s: float = execution(_FETCH.total_s, "timeout for one download, in seconds", gt=0)
    download_memory_mb: int = execution(_FETCH.site_memory_bytes // _MB, "address space of the yt-dlp process, in MB", ge=512)
    host_downloads: int = execution(_MANNERS.downloads, "concurrent downloads from one host, across all machines of a batch", ge=1)
    host_interval_s: float = execution(
        _MANNERS.interval_s, "time between the starts of two downloads of posts from one site in a batch, in seconds", ge=0
    )
    host_refusals: int = execution(
        _MANNERS.refusals,
        "videos refused in a row (HTTP 429, 403 or 503, captcha, login wall) after which a batch stops asking a host and leaves its "
        "other rows to `runs resume`; 0: never",
        ge=0,
    )
    require_sandbox: bool = execution(
        default=False, description="refuse to run where the kernel cannot confine the decoder (Landlock and seccomp)"
    )
    private_hosts: bool = execution(
        default=False, description="allow URLs on loopback and private networks, and this machine's own addresses"
    )
    inputs: _Texts = execution(
        INPUT_KINDS, "kinds of input that a row may name, comma-separated: web (URLs), file (paths), store (s3:// …)"
    )
    roots: _Texts = execution((), "directories that files must be in after links are resolved, comma-separated; none: anywhere")
    buckets: _Texts = execution(
        (), "buckets or prefixes that objects must be in, for example s3://bucket/prefix, comma-separated; none: any"
    )
    hosts: _Texts = execution(
        (), "allowed hosts, including those of redirects and media; .example.com allows its subdomains; comma-separated; none: any"
    )
    denied_networks: _Texts = execution(
        (), "networks that are never connected to, even with private_hosts, for example 203.0.113.0/24; comma-separated"
    )
    scratch_max_mb: int = execution(_FETCH.scratch_bytes // _MB, "total size of one node's downloads in progress, in MB", ge=1)
    disk_reserve_mb: int = execution(
        _FETCH.reserve_bytes // _MB, "downloads and decoding stop while the disk has less free space than this, in MB", ge=0
    )

    @field_validator("inputs", "roots", "buckets", "hosts", "denied_networks")
    @classmethod
    def _rules(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """A rule that says nothing would let everything through."""
        check_rule(str(info.field_name), value)
        return value

    @property
    def rules(self) -> InputRules:
        """What a row may name."""
        return InputRules(self.inputs, self.roots, self.buckets, self.hosts, self.denied_networks)


class Engine(Group):
    """How the cells of model actors are run."""

    batch_frames: int = execution(16, "frames in one batch (one row of work)", ge=1, le=32)
    calls_outstanding: int = execution(2, "calls in flight per model actor, including the one that runs", ge=1, le=8)
    batches_in_flight: int | None = execution(
        None, "frame batches in flight per cell; by default 3, or 1.5 times the actors of the model that has the most", ge=1, le=32
    )
    call_timeout_s: float = execution(600.0, "timeout of one model call, in seconds; the actor is then killed and the call retried", gt=0)
    start_timeout_s: float = execution(300.0, "timeout for starting a model actor and loading its weights, in seconds", gt=0)
    attempts: int = execution(3, "attempts for a call that crashes its model actor or raises", ge=1, le=10)
    cells: int | None = execution(None, "largest number of cells of a batch run; by default as many as fit on the machines", ge=1)
    max_share: float = execution(
        1.0,
        "share of a cluster's cells and readers that a batch takes, so that several runs can share it; at least one of each",
        gt=0,
        le=1,
    )
    cells_per_gpu: int = execution(1, "cells per GPU", ge=1, le=8)
    cell_cpus: float | None = execution(None, "CPUs per cell, as Ray counts them; by default the plan divides each machine", gt=0)
    gpu_memory_gb: float | None = execution(None, "memory of one GPU in GB, for machines where it cannot be detected", gt=0)
    extract_tasks: int | None = execution(
        None, "videos decoded concurrently in a batch run; by default one per CPU that the cells leave free", ge=1
    )
    rounds: int = execution(3, "attempts at an entry whose rows Ray has lost", ge=1)
    group_mb: float = execution(64.0, "commit a group of videos when its rows reach this size, in MB", gt=0)
    group_age_s: float = execution(30.0, "commit a group of videos after this many seconds, however small it is", gt=0)
    entry_timeout_s: float = execution(
        1200.0, "timeout for the next frames of one video in a batch run, in seconds; its worker is then killed", gt=0
    )
    write_timeout_s: float = execution(
        600.0, "timeout for assembling and writing one commit group, in seconds; its worker is then killed", gt=0
    )
    place_timeout_s: float = execution(900.0, "timeout for placing the first cell on a cluster, in seconds", gt=0)
    warm_idle_s: float = execution(1800.0, "close a warm cell that has been idle for this many seconds", gt=0)
    stall_timeout_s: float | None = execution(
        None, "abort a run that has made no progress for this many seconds; by default longer than every other timeout together", gt=0
    )
    drain_s: float = execution(
        25.0,
        "drain time of a stopped run, in seconds, at most 5 for single videos: frame batches in flight are finished and committed",
        ge=0,
    )
    memory_mb: int = execution(6144, "restart a model actor between calls once its anonymous memory exceeds this, in MB", ge=512)


class Insights(Group):
    """What the insight tables are cut at. Where a source is named, the figure is theirs; the others were chosen on the shared clips."""

    track_margin: float = result(0.5, "margin around a box, as a share of its sides, before boxes of two frames are compared", ge=0, le=2)
    track_iou: float = result(
        0.1, "lowest IoU, margins included, at which two boxes may be the same object (the default of `trackers`)", gt=0, le=1
    )
    track_gap_s: float = result(
        1.0, "longest time without a box within a track, beyond the usual frame interval, in seconds (likewise)", ge=0
    )
    text_confidence: float = result(0.3, "readings below this confidence continue a text span but never start one", ge=0, le=1)
    text_similarity: float = result(0.7, "lowest similarity (Indel) at which two readings are the same text", ge=0, le=1)
    text_move: float = result(0.1, "farthest that a text moves between two sightings, as a share of the picture's diagonal", ge=0, le=1)
    text_gap_s: float = result(1.0, "longest time without a sighting within a text span, beyond the usual frame interval, in seconds", ge=0)
    caption_overlap: float = result(0.5, "a text is a caption if at least this share of its words is spoken while it is shown", gt=0, le=1)
    caption_slack_s: float = result(0.5, "time by which speech may precede or follow its caption, in seconds", ge=0)
    call_to_action: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas)] = result(
        (),
        "words and phrases that ask the viewer to do something, comma-separated; matched as whole words, or anywhere in "
        "scripts without spaces; by default those of nine languages: English, German, French, Spanish, Portuguese, Russian, Korean, "
        "Japanese, Chinese",
    )
    single_confidence: float = result(
        0.5,
        "confidence at which an object, face or gesture seen in only one frame of a shot counts; below it, two frames are needed",
        ge=0,
        le=1,
    )
    single_area_share: float = result(0.01, "share of the picture at which such an object or face counts", ge=0, le=1)
    single_text_confidence: float = result(0.8, "confidence at which a text read in only one frame of a video counts", ge=0, le=1)
    subject_share: float = result(
        0.2, "the subject count is the most people seen in at least this share of the frames that show people", gt=0, le=1
    )
    steady_gaze_deg: float = result(5.0, "gaze is steady if head and eyes turn less than this between frames, in degrees", gt=0, le=90)
    hook_s: float = result(3.0, "length of the hook window, in seconds (as in the previous system)", gt=0)
    closing_s: float = result(3.0, "length of the closing window, in seconds (likewise)", gt=0)
    shortest_window_s: float = result(0.5, "shortest part of the middle, and shortest closing, in seconds", gt=0)


class BaseConfig(BaseSettings):
    """The settings that do not belong to one model. `Config` adds a group for each model of the catalogue."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="_", env_nested_max_split=1, extra="forbid", frozen=True, env_ignore_empty=True
    )

    profile: Profile = result(
        "auto",
        "weights: `auto` (each model's flagship if it is present or can be fetched, else its stand-in), `standard` (flagships, or an "
        "error) or `offline` (only weights from package registries)",
    )
    accept_noncommercial: bool = execution(
        default=False, description="accept licences that forbid commercial use (py-feat's weights) and fetch such weights"
    )
    models: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas)] = result(
        default_models(), "model families to run, comma-separated"
    )
    device: Literal["auto", "cpu", "cuda"] = result("auto", "device of the models; `auto` uses a GPU if one is present")
    out: str = execution("runs", "directory or URI in which the run's directory is created")
    shared: bool = execution(
        default=False, description="runs and frame store get the permissions of your umask; by default only you can read them"
    )
    store: Path = execution(user_cache() / "frames", "directory of this node's frame store")
    store_max_gb: float = execution(50.0, "size limit of the frame store in GB; the least recently used videos are removed first", gt=0)
    store_remote: str | None = execution(
        None,
        "directory or URI of a second frame store that nodes share: consulted before a video is decoded, filled afterwards",
        min_length=1,
    )
    weights_dir: Path | None = execution(None, "directory searched for weights before the user's cache")
    cookies: Path | None = execution(None, "cookies file (Netscape format) for sites that require a login")
    proxy: str | None = execution(
        None, "HTTP proxy for every download, as http://host:port; `env` uses HTTPS_PROXY, which may contain a password"
    )
    impersonate: bool = execution(
        default=True, description="imitate a browser's TLS fingerprint on sites where yt-dlp requires it (TikTok)"
    )
    resolution: int = execution(1080, "shorter side of the picture to fetch, in pixels, where a site offers several sizes", ge=144, le=4320)
    on_end: str | None = execution(
        None,
        "command or http(s) address to call when a run ends: it gets JSON on stdin or as a POST; never stored in a manifest",
        exclude=True,
        repr=False,
    )
    sampling: Sampling = Sampling()
    limits: Limits = Limits()
    engine: Engine = Engine()
    insights: Insights = Insights()

    @field_validator("models")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in MODELS]
        if unknown or not value:
            raise ValueError(f"unknown model {', '.join(unknown) or '(none given)'}; choose from {', '.join(MODELS)}")
        return tuple(name for name in MODELS if name in value)

    @field_validator("proxy")
    @classmethod
    def _without_password(cls, value: str | None) -> str | None:
        """Settings are written to manifests and seen in lists of processes."""
        if value is not None and "@" in value:
            raise ValueError("no user name or password here: set HTTPS_PROXY and give `env`")
        return value

    @field_validator("on_end")
    @classmethod
    def _can_be_called(cls, value: str | None) -> str | None:
        if value is not None and not shlex.split(value):  # raises ValueError where a quotation has no end
            raise ValueError("an empty command")
        return value

    @field_validator("store", "weights_dir", "cookies")
    @classmethod
    def _home(cls, value: Path | None) -> Path | None:
        """A shell expands `~` in a flag's value if a blank precedes it, and nobody does in TOML or in a container's environment."""
        try:
            return value and value.expanduser()
        except RuntimeError as error:
            raise ValueError(f"no such home directory: {value}") from error

    @classmethod
    def settings_customise_sources(  # noqa: D102 -- pydantic-settings' hook
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- deliberately unused: no file is read unasked
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    def model_settings(self, name: str) -> ModelSettings:
        """The settings of one model family."""
        settings = getattr(self, name)
        if not isinstance(settings, ModelSettings):
            raise TypeError(f"{name} is not a model's group of settings")
        return settings


_GROUPS: Any = {name: (model_class(name).settings_type, model_class(name).settings_type()) for name in MODELS}

Config = create_model("Config", __base__=BaseConfig, **_GROUPS)
"""All settings: `BaseConfig` and a group for each model."""


def flat_settings() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every setting as (path, pydantic field), e.g. (("ocr", "canvas_px"), …); groups are walked."""
    for name, info in Config.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            for inner, inner_info in info.annotation.model_fields.items():
                yield (name, inner), inner_info
        else:
            yield (name,), info


def load_config(toml: Path | None = None, flags: dict[str, Any] | None = None) -> BaseConfig:
    """All settings from `toml`, the environment and `flags` (nested like the TOML file; absent means not given).

    Raises:
        ConfigError: the file cannot be read, a name is unknown or a value is not allowed; names the setting and where it came from.
    """
    if toml is not None and not toml.is_file():
        raise ConfigError("no such configuration file", str(toml))
    _refuse_unknown_variables()

    class Loaded(Config):  # type: ignore[misc, valid-type]  # pydantic-settings takes the file's name from the class
        model_config = SettingsConfigDict(toml_file=toml)

    try:
        loaded = Loaded(**(flags or {}))
        # Not the local class: settings travel to workers, and only what a module names can be pickled.
        values = {name: getattr(loaded, name) for name in Config.model_fields}
        return Config.model_construct(_fields_set=set(loaded.model_fields_set), **values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        got = "" if name in {"proxy", "on_end"} else f" (got {first['input']!r})"  # what stands there may be a password
        said = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{said}{got}", f"setting {name}", "`rumiai-ray analyze --help-all` lists every setting") from error
    except (ValueError, OSError) as error:
        raise ConfigError(f"cannot read: {error}", str(toml or "configuration")) from error


def _refuse_unknown_variables() -> None:
    """A misspelt variable would otherwise be ignored without a word."""
    known = {ENV_PREFIX + "_".join(path).upper() for path, _ in flat_settings()}
    known |= {ENV_PREFIX + name for name in ("CONFIG", "RUN_ID", "LOG")}
    unknown = sorted(name for name in os.environ if name.startswith(ENV_PREFIX) and name not in known)
    if unknown:
        raise ConfigError("no such setting", f"environment variable {unknown[0]}", "`rumiai-ray analyze --help-all` lists every setting")
