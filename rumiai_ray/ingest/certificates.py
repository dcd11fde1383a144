"""Which certificate authorities are trusted: those of this machine, or those of a company's own file."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path

from rumiai_ray.errors import InputError

_VARIABLES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""Where companies that inspect TLS name their own bundle: OpenSSL's variable, curl's, and that of Python's `requests`."""


def ca_bundle() -> Path | None:
    """The file that the environment names for the trusted authorities, or None: then the machine's own are trusted.

    Raises:
        InputError: the file is not there or may not be read.
    """
    variable = next((name for name in _VARIABLES if os.environ.get(name)), None)
    if variable is None:
        return None
    path = Path(os.environ[variable])
    if not (path.is_file() and os.access(path, os.R_OK)):
        raise InputError(f"{variable} names a certificate file that cannot be read", str(path), "correct or unset the variable")
    return path.absolute()


def tls_context() -> ssl.SSLContext:
    """For connections of this process: certificates are checked against `ca_bundle`, or the machine's own authorities.

    Raises:
        InputError: as `ca_bundle`, or the file holds no certificates.
    """
    bundle = ca_bundle()
    try:
        return _context(bundle)
    except ssl.SSLError as error:
        raise InputError("the certificate file contains no readable certificate", str(bundle), "it must be in PEM format") from error


@cache
def _context(bundle: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=bundle)
