"""Objects in stores that fsspec has drivers for: s3, gs, az and the like."""

from __future__ import annotations

from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from rumiai_ray.errors import InputError, RumiaiError, TransientError
from rumiai_ray.ingest.outcomes import PrivateError, RemovedError
from rumiai_ray.ingest.saving import saved_video, saving
from rumiai_ray.ingest.video import FetchedVideo, VideoMetadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rumiai_ray.ingest.limits import FetchLimits
    from rumiai_ray.ingest.network import Network

_BLOCK_BYTES = 4 * 1024**2


@contextmanager
def opened(uri: str) -> Iterator[IO[bytes]]:
    """The object at `uri`, open for reading (and seeking).

    Raises:
        InputError: no driver, no such object, no permission; also while it is read.
        TransientError: the store does not answer.
    """
    with _translated(uri):
        filesystem, path = _filesystem(uri)
        with filesystem.open(path, "rb") as stream:
            yield stream


def download(uri: str, folder: Path, network: Network, limits: FetchLimits) -> FetchedVideo:
    """Fetch the object at `uri` into `folder`. The driver keeps its own connections; of `network` only the deadline is used.

    Raises:
        InputError: no driver, no such object, no permission.
        MediaError: empty or too large.
        TransientError: the store does not answer, the object ended early, or the time is up.
    """
    with _translated(uri):
        filesystem, path = _filesystem(uri)
        expected = filesystem.info(path).get("size")
        with saving(folder, uri, limits) as target, filesystem.open(path, "rb", block_size=_BLOCK_BYTES) as stream:
            while block := stream.read(_BLOCK_BYTES):
                network.take(len(block), uri)
                target.write(block)
                network.check(uri)
            if expected is not None and target.size_bytes != expected:
                raise TransientError(f"ended after {target.size_bytes} of {expected} bytes", uri, "try again")
        return saved_video(folder, target, VideoMetadata())


def _filesystem(uri: str) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415 -- most runs read no store

    try:
        filesystem, path = fsspec.url_to_fs(uri)
    except ImportError as error:
        # fsspec's own message names the package: "Install s3fs to access S3".
        raise InputError(
            f"no driver for this protocol: {error}", uri, "install that package into this environment on every node"
        ) from error
    except ValueError as error:
        raise InputError(f"not understood by fsspec: {error}", uri, "check the scheme") from error
    return filesystem, str(path)


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Turns what drivers raise into this package's errors.

    A boundary where every exception is caught, because every driver brings its vendor's exception types.
    """
    try:
        yield
    except RumiaiError:
        raise
    except FileNotFoundError as error:
        raise RemovedError("no such object", uri, "check the bucket and the key") from error
    except IsADirectoryError as error:
        raise InputError("a directory, not an object", uri, "name the objects one by one") from error
    except PermissionError as error:
        raise PrivateError("no permission to read the object", uri, "give this machine's credentials read access to it") from error
    except OSError as error:
        raise TransientError(f"the store did not answer: {error}", uri, "try again; check the store's endpoint") from error
    except Exception as error:
        raise InputError(f"{type(error).__name__}: {error}", uri, "check the store's credentials and configuration") from error
