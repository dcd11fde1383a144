"""What is shown of text from outside: which secrets are not, and which characters are not."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rumiai_ray.shown import counted, escaped, hidden, often, shown, shown_addresses, shown_input, terminal_safe

SECRETS = {
    "https://user:hunter2@host.example/a.mp4": "https://host.example/a.mp4",
    "https://host.example/a.mp4?X-Amz-Signature=hunter2&X-Amz-Date=1": "https://host.example/a.mp4?…",
    "https://host.example/a.mp4#hunter2": "https://host.example/a.mp4?…",
    "s3://key:hunter2@bucket/a": "s3://bucket/a",
    "https://user:hun/ter2@host.example/a": "https://host.example/a",
    "https://user:hun?ter2@host.example/a": "https://host.example/a",
    "redis://:hunter2@[::1]:6379/0": "redis://[::1]:6379/0",
    "https://www.tiktok.com/@somebody/video/1": "https://www.tiktok.com/@somebody/video/1",
    "http://host.example:8080/@somebody": "http://host.example:8080/@somebody",
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ&si=hunter2": "https://www.youtube.com/watch?v=dQw4w9WgXcQ&…",
    "https://host.example/watch?v=hunter2": "https://host.example/watch?…",
    "https://youtube.com.host.example/watch?v=hunter2": "https://youtube.com.host.example/watch?…",
    "https://host.example/a;jsessionid=hunter2/b.mp4": "https://host.example/a;…/b.mp4",
    "https://proxy.example/https://u:hunter2@host.example/a": "https://proxy.example/https://host.example/a",
    "abfs://container@account.dfs.core.windows.net/a": "abfs://container@account.dfs.core.windows.net/a",
    "abfs://u:hunter2@account.dfs.core.windows.net/a": "abfs://account.dfs.core.windows.net/a",
    "HTTPS://HOST.EXAMPLE/A?SIG=HUNTER2": "HTTPS://HOST.EXAMPLE/A?…",
}


@pytest.mark.parametrize(("address", "bare"), SECRETS.items())
def test_an_address_in_a_text_loses_its_secrets_and_nothing_else(address: str, bare: str) -> None:
    assert shown(f"ValueError: cannot open '{address}', twice") == f"ValueError: cannot open '{bare}', twice"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer hunter2 and more",
        "{'Authorization': 'AWS4-HMAC-SHA256 Credential=hunter2'}",
        "AWS_SECRET_ACCESS_KEY=hunter2",
        "{'aws_secret_access_key': 'hunter2', 'x': 1}",
        "params: sig=hunter2&se=1",
        "password: hunter2",
        'api_key="hunter2"',
        "Max retries exceeded with url: /a.mp4?k=hunter2 (caused by nothing)",
        "Cookie: session=hunter2; other=1",
        "Set-Cookie: session=hunter2; Path=/",
        "with bearer hunter2hunter2",
        "refresh_token=hunter2",
        "/etc/passwd: hunter2",
        "token:hunter2 is not",
        "Cookie: no=1; a=hunter2",
        "https://h.example/login/token: hunter2 and more",
        "Authorization: Basic hunter2 it is",
        "password: not.hunter2",
        "token: a.b.hunter2",
        "api_key: for:hunter2",
        "Authorization: in.hunter2",
        "Cookie: a; sessionid=hunter2",
        "Set-Cookie: the; sid=hunter2; Path=/",
    ],
)
def test_a_signature_or_key_outside_of_an_address_is_hidden_too(text: str) -> None:
    assert "hunter2" not in shown(text)


@pytest.mark.parametrize(
    "text",
    [
        "/etc/passwd: no media file",
        "clips/my_secret: not a media file (give a video)",
        "token: no such file",
        "api_key: permission denied",
        "C:\\jar\\cookie: no media file",
        "signature: the file is damaged",
        "credentials.csv: it has no rows",
        "the token: missing",
    ],
)
def test_a_sentence_about_something_that_is_called_like_a_key_stays(text: str) -> None:
    assert shown(text) == text


def test_a_known_address_is_stripped_whatever_characters_it_holds() -> None:
    address = "https://host.example/a.mp4?note=two words&sig=hun 'ter2"
    assert shown(f"cannot open {address}!", [address]) == "cannot open https://host.example/a.mp4?…"


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8), st.text())
def test_no_query_or_password_survives(secret: str, around: str) -> None:
    secret = f"zz{secret}zz"
    for address in (f"https://u:{secret}@h.example/p", f"https://h.example/p?x={secret}", f"s3://b/k?versionId={secret}&y=1#{secret}"):
        assert secret not in shown(f"{around} {address} {around}".replace(secret, "", around.count(secret)), [address])


@settings(deadline=None)
@given(st.text(), st.text())
def test_shown_twice_is_shown_once(before: str, after: str) -> None:
    for text in (f"{before}://{after}", f"{before}?{after}=x", f"token={before}&{after}"):
        assert shown(shown(text)) == shown(text)


@settings(deadline=None)
@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=30))
def test_a_known_secret_is_found_in_parts_of_its_address_and_decoded(letters: str) -> None:
    secret = f"zz{letters} zz"
    address = f"https://u:p@h.example/clip.mp4?k={secret.replace(' ', '%20')}&e=1"
    for text in (
        f"no page /clip.mp4 for {secret}",
        f"'/clip.mp4?k={secret.replace(' ', '%20')}&e=1' not found",
        f"k is {secret.replace(' ', '%20')}",
    ):
        assert letters not in shown(text, [address])
        assert letters not in hidden(text, [address])


def test_a_path_stays_as_it_is_and_so_does_ones_own_text_but_for_addresses() -> None:
    assert shown_input("/data/sig=1?x=2/token=a.mp4") == "/data/sig=1?x=2/token=a.mp4"
    assert (
        shown_addresses("token: a, what?a=b, see https://h.example/a?sig=hunter2 now")
        == "token: a, what?a=b, see https://h.example/a?… now"
    )


@pytest.mark.parametrize("word", ["a", "a.", "token", "access_key", "://", "?a=", "x-amz-", "https://u:", "bearer ", ";a=", "@", "&v="])
def test_a_long_text_of_a_stranger_takes_no_long_time(word: str) -> None:
    # What grows with the square of the length would take minutes here, and the suite's limit for a test would end it.
    assert shown(word * (300_000 // len(word))) is not None


@settings(deadline=None)
@given(st.text(st.characters()))
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    safe = terminal_safe(text)
    assert len(safe) == len(text)
    for was, now in zip(text, safe, strict=True):
        bad = unicodedata.category(was) == "Cc" and was not in "\t\n"
        bad = bad or unicodedata.bidirectional(was) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        assert (now == "\N{REPLACEMENT CHARACTER}") if bad else True


@settings(deadline=None)
@given(st.text(st.characters()))
def test_an_escaped_document_is_the_same_document_and_safe(text: str) -> None:
    document = escaped(json.dumps({"title": text}, ensure_ascii=False))
    assert json.loads(document) == {"title": text}
    assert terminal_safe(document) == document


def test_emoji_and_scripts_that_join_stay_whole() -> None:
    for text in ("👩‍👧‍👦", "क्‍ष", "مرحبا", "שלום", "e\u0301", "a\tb\nc"):
        assert terminal_safe(text) == text


@pytest.mark.parametrize(
    ("said", "shown_as"),
    [
        (counted(1, "cell"), "1 cell"),
        (counted(0, "cell"), "0 cells"),
        (counted(2000, "entry", "entries"), "2,000 entries"),
        (counted(1.0, "CPU"), "1 CPU"),
        (counted(2.0, "CPU"), "2 CPUs"),
        (counted(0.25, "CPU"), "0.25 CPUs"),
        (often(1), "once"),
        (often(2), "2 times"),
    ],
)
def test_one_is_singular(said: str, shown_as: str) -> None:
    assert said == shown_as
