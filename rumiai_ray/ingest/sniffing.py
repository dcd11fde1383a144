"""Telling a page from a video by its first bytes: servers send error pages with status 200 and call them video/mp4."""

from __future__ import annotations

_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/xhtml+xml", "application/problem+json")


def page_kind(head: bytes, content_type: str) -> str | None:
    """What kind of text `head` is the beginning of, or None where it may be media.

    Args:
        head: the first bytes, a few hundred.
        content_type: the Content-Type header. It only decides about plain text: no video container starts with markup.

    Returns:
        "an HTML page", "a JSON answer", … or None.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    if start.startswith(b"<"):
        return "an XML or HTML page"
    if start.startswith(b"#extm3u"):
        return "an HLS playlist"
    if start.startswith((b"{", b"[")):
        return "a JSON answer"
    if content_type.lower().startswith(_TEXT_TYPES) and b"\0" not in head:
        return "text"
    return None
