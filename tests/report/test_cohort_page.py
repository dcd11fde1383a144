"""The page of a comparison: made to be shown, and safe whatever a question or a column says."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from chromium import rendered
from made_features import made_features
from rumiai_ray.corpus.cohorts.compare import compared, highest
from rumiai_ray.corpus.cohorts.correlate import correlated
from rumiai_ray.corpus.cohorts.over_time import Period, followed
from rumiai_ray.errors import ConfigError
from rumiai_ray.report.write import write_cohorts

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&\u202e"


def answers(name: str) -> list[Any]:
    """A comparison, one within fifths with outcomes, correlations and a metric over time; a name of an effect's feature is given."""
    rows = made_features(120)
    first, _ = highest(rows.asked, 0.25, None, name)
    values = rows.values.copy()
    values[first, 0] += 6
    values[first, 101] = 0
    rows = replace(rows, features=(name, *rows.features[1:]), values=values, confounders={**rows.confounders, "duration": values[:, 0]})
    return [
        compared(rows, first, name, notes=[name]),
        compared(rows, first, name, stratify="followers", with_outcomes=True),
        correlated(rows, name, notes=[name]),
        followed(rows, name, Period.MONTH, notes=[name]),
        followed(replace(rows, confounders={**rows.confounders, "posted_at": values[:, 0] * float("nan")}), name, Period.WEEK),
        compared(rows.take(first & False), first[:0], name),
    ]


@pytest.fixture
def pages(tmp_path: Path) -> list[Path]:
    written = []
    for number, found in enumerate(answers(HOSTILE)):
        written.append(tmp_path / f"{number}.html")
        write_cohorts(found, ["20260901-<b>run"], written[-1])
    return written


def test_strings_stay_strings_and_a_page_loads_nothing(pages: list[Path]) -> None:
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert "&lt;script&gt;document.title" in text
        assert text.count("<script>") == 1, "the page's own"
        assert "<img" not in text
        assert "<b>run" not in text
        assert "\u202e" not in text
        assert "default-src &#39;none&#39;" in text
        assert not re.search(r"""(?:src|href|action|data)=["']?(?:https?:)?//|url\(|@import""", text)
        assert not re.search(r"<[^>]+ (?:style|on[a-z]+)=", text), "the policy would forbid it"
        assert not re.search(r"\bcaus", text)


def test_a_page_says_what_differs_by_how_much_how_sure_and_what_was_not_told(tmp_path: Path) -> None:
    write_cohorts(answers("hook_cuts_per_minute")[0], ["one", "two"], tmp_path / "page.html")
    text = tmp_path.joinpath("page.html").read_text(encoding="utf-8")
    differs = text.partition("<h2>What differs</h2>")[2].partition("</section>")[0]
    assert re.search(r'title="Cuts in the window over its length[^"]*">cuts per minute</th><td>hook</td>', differs)
    cells = re.findall(r'<td class="number">(.*?)</td>', differs)[2:]
    assert re.fullmatch(r"\d\d \+0\.\d\d \+0\.\d\d to \+[01]\.\d\d &lt; 0\.001", " ".join(cells[:4]))
    assert "large" in differs
    assert re.search(r'<p class="banner">The cohorts also differ in how long they are \(median ', text)
    assert "<summary>Nothing beyond chance: " in text
    assert "<summary>Too few to tell: " in text
    unsaid = text.partition("<h2>What this does not say</h2>")[2]
    assert "It shows which features occur together, not why." in unsaid
    assert "Benjamini-Hochberg" in unsaid
    assert "2 runs" in text.partition("<footer>")[2]


def test_a_page_is_never_written_over(tmp_path: Path) -> None:
    found = answers("likes")[0]
    write_cohorts(found, [], tmp_path / "new/page.html")
    with pytest.raises(ConfigError, match="already exists"):
        write_cohorts(found, [], tmp_path / "new/page.html")


def test_a_browser_shows_the_page_without_obeying_it(pages: list[Path]) -> None:
    document = rendered(pages[0])
    assert "<title>owned" not in document
    assert "<h2>What differs</h2>" in document
