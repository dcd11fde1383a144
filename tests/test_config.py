from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import typer
from typer.testing import CliRunner

import rumiai_ray
from rumiai_ray.cli.options import with_settings
from rumiai_ray.config import BaseConfig, flat_settings, load_config
from rumiai_ray.engine.setup.run_setup import decode_limits, fetch_limits
from rumiai_ray.errors import ConfigError
from rumiai_ray.frames.limits import DecodeLimits
from rumiai_ray.ingest.limits import FetchLimits

SETTINGS = dict(flat_settings())
CHOSEN: dict[tuple[str, ...], Any] = {
    ("models",): ["yolo", "ocr"],
    ("store_remote",): "s3://bucket/frames",
    ("weights_dir",): "/weights",
    ("cookies",): "/cookies.txt",
    ("proxy",): "http://proxy.example:3128",
    ("on_end",): "notify 'the team'",
    ("sampling", "fps"): 2.5,
    ("yolo", "image_size_px"): 672,
    ("yolo", "weights"): "mine.pt",
    ("yolo", "weights_sha256"): "0" * 64,
    ("ocr", "languages"): ["en", "de"],
    ("ocr", "canvas_px"): 512,
    ("ocr", "mag_ratio"): 2.0,
    ("ocr", "min_confidence"): 0.25,
    ("whisper", "language"): "de",
    ("whisper", "languages"): ["en", "de"],
    ("whisper", "expected_language"): "de",
    ("insights", "call_to_action"): ["buy now", "join"],
    ("limits", "inputs"): ["web", "store"],
    ("limits", "roots"): ["/srv/videos", "/mnt"],
    ("limits", "buckets"): ["s3://bucket/prefix"],
    ("limits", "hosts"): ["example.com", ".tiktokcdn.com"],
    ("limits", "denied_networks"): ["203.0.113.0/24"],
}
"""Allowed values that are not the default, where none can be made up from the default alone."""
TOGETHER = (("yolo", "weights"), ("yolo", "weights_sha256"))
"""Neither is allowed without the other."""


def other_than_default(path: tuple[str, ...]) -> Any:
    info = SETTINGS[path]
    default = info.default
    if path in CHOSEN:
        return CHOSEN[path]
    if default is None and {int, float} & {*get_args(info.annotation)}:
        return 3 if int in get_args(info.annotation) else 2.5
    if get_origin(info.annotation) is not None and (allowed := [value for value in get_args(info.annotation) if value != default]):
        return allowed[-1]
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default - 1 if default > 1 else default + 1
    return (default / 2 or 0.5) if isinstance(default, float) else "/elsewhere"


def as_text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def set_together(path: tuple[str, ...]) -> dict[tuple[str, ...], Any]:
    return {one: other_than_default(one) for one in (TOGETHER if path in TOGETHER else (path,))}


def value_in(config: BaseConfig, path: tuple[str, ...]) -> Any:
    value: Any = config
    for name in path:
        value = getattr(value, name)
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


def toml_file(folder: Path, values: dict[tuple[str, ...], Any]) -> Path:
    lines = [f"{'.'.join(path)} = {json.dumps(value)}" for path, value in values.items()]
    path = folder / "settings.toml"
    path.write_text("\n".join(lines))
    return path


def config_of(*arguments: str) -> BaseConfig:
    """What a verb is given for these arguments."""
    given: list[BaseConfig] = []

    def verb(config: BaseConfig) -> None:
        given.append(config)

    app = typer.Typer()
    app.command()(with_settings()(verb))
    outcome = CliRunner().invoke(app, list(arguments))
    if outcome.exception is not None:
        raise outcome.exception
    return given[0]


@pytest.fixture(autouse=True)
def without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RUMIAI_")]:
        monkeypatch.delenv(name)


every_setting = pytest.mark.parametrize("path", SETTINGS, ids=".".join)


@every_setting
def test_every_setting_can_be_given_in_toml(path: tuple[str, ...], tmp_path: Path) -> None:
    config = load_config(toml_file(tmp_path, set_together(path)))
    assert value_in(config, path) == other_than_default(path) != value_in(load_config(), path)


@every_setting
def test_every_setting_can_be_given_in_the_environment(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in set_together(path).items():
        monkeypatch.setenv(f"RUMIAI_{'_'.join(name).upper()}", as_text(value))
    assert value_in(load_config(), path) == other_than_default(path)


@every_setting
def test_every_setting_can_be_given_as_a_flag(path: tuple[str, ...]) -> None:
    arguments: list[str] = []
    for name, value in set_together(path).items():
        flag = "-".join(name).replace("_", "-")
        arguments += [f"--{'' if value else 'no-'}{flag}"] if isinstance(value, bool) else [f"--{flag}", as_text(value)]
    assert value_in(config_of(*arguments), path) == other_than_default(path)


def test_a_flag_beats_the_environment_beats_toml_beats_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(toml_file(tmp_path, {("sampling", "jpeg_quality"): 60, ("sampling", "long_side_px"): 600, ("store_max_gb",): 6}))
    monkeypatch.setenv("RUMIAI_SAMPLING_JPEG_QUALITY", "70")
    monkeypatch.setenv("RUMIAI_STORE_MAX_GB", "7")
    config = config_of("--config", file, "--sampling-jpeg-quality", "80")
    assert (config.sampling.jpeg_quality, config.store_max_gb, config.sampling.long_side_px) == (80, 7.0, 600)
    assert config.limits.max_input_mb == load_config().limits.max_input_mb


def test_the_configuration_file_can_be_named_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUMIAI_CONFIG", str(toml_file(tmp_path, {("profile",): "offline"})))
    assert config_of().profile == "offline"


def test_names_nobody_knows_are_refused_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (("colour",), ("sampling", "colour"), ("ocr", "colour")):
        with pytest.raises(ConfigError, match=rf"setting {'.'.join(path)}: "):
            load_config(toml_file(tmp_path, {path: 1}))
    with pytest.raises(SystemExit, match="2"):
        config_of("--sampling-colour", "1")
    monkeypatch.setenv("RUMIAI_SAMPLING_COLOUR", "1")
    with pytest.raises(ConfigError, match="RUMIAI_SAMPLING_COLOUR: no such setting"):
        load_config()


def test_values_that_are_not_allowed_are_refused_by_the_setting_s_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"sampling\.jpeg_quality.*'101'"):
        config_of("--sampling-jpeg-quality", "101")
    with pytest.raises(ConfigError, match=r"models.*unknown model yollo"):
        config_of("--models", "yollo")
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_config(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("[sampling")
    with pytest.raises(ConfigError, match=r"broken\.toml: cannot be read|broken\.toml: cannot read"):
        load_config(tmp_path / "broken.toml")
    monkeypatch.setenv("RUMIAI_STORE_MAX_GB", "much")
    with pytest.raises(ConfigError, match="store_max_gb"):
        load_config()


def test_messages_name_the_flag_of_the_limit_that_was_met() -> None:
    package = Path(rumiai_ray.__file__).parent
    sources = "\n".join(path.read_text() for folder in ("ingest", "frames") for path in (package / folder).rglob("*.py"))
    known = {f"--{'-'.join(path).replace('_', '-')}" for path in SETTINGS if path[0] == "limits"}
    assert set(re.findall("--limits-[a-z-]+", sources)) == known


def test_empty_variables_are_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUMIAI_WEIGHTS_DIR", "")
    assert load_config().weights_dir is None


def test_models_run_in_the_catalogue_s_order_however_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUMIAI_MODELS", " ocr , yolo,")
    assert load_config().models == ("yolo", "ocr")


@pytest.mark.parametrize("name", ["store", "weights_dir", "cookies"])
def test_a_tilde_is_the_home_directory_wherever_it_is_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert getattr(load_config(toml_file(tmp_path, {(name,): "~/there"})), name) == tmp_path / "there"
    assert getattr(config_of(f"--{name.replace('_', '-')}=~/there"), name) == tmp_path / "there"
    monkeypatch.setenv(f"RUMIAI_{name.upper()}", "~/there")
    assert getattr(load_config(), name) == tmp_path / "there"
    monkeypatch.setenv(f"RUMIAI_{name.upper()}", "~nobody-of-this-name/there")
    with pytest.raises(ConfigError, match=name):
        load_config()


def test_the_address_of_a_proxy_holds_no_password_and_an_error_does_not_repeat_it() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(flags={"proxy": "http://user:s3cret@proxy:3128"})
    assert "HTTPS_PROXY" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_rooms_that_enforce_limits_have_the_same_defaults_as_the_settings() -> None:
    assert decode_limits(load_config()) == DecodeLimits()
    assert replace(fetch_limits(load_config()), proxy=None) == FetchLimits()
