"""What `rumiai-ray corpus compare` prints: cohorts, correlations and a metric over time, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from rumiai_ray.cli.tables import folding
from rumiai_ray.cli.terminal import SafeConsole, counted, say
from rumiai_ray.corpus.cohorts.compare import CohortComparison
from rumiai_ray.corpus.cohorts.correlate import MetricCorrelations
from rumiai_ray.corpus.cohorts.tested import NEVER_MEASURED, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rumiai_ray.corpus.cohorts.compare import FeatureDifference
    from rumiai_ray.corpus.cohorts.over_time import MetricOverTime
    from rumiai_ray.corpus.cohorts.tested import TestedFeature

_PERIODS_SHOWN = 12


def print_findings(found: CohortComparison | MetricCorrelations | MetricOverTime) -> None:
    """Print what was found on stdout, and on stderr what is to be known beside it."""
    if isinstance(found, CohortComparison):
        _print_cohorts(found)
    elif isinstance(found, MetricCorrelations):
        _print_correlations(found)
    else:
        _print_periods(found)
    print_notes(found)


def print_warnings(found: CohortComparison | MetricCorrelations | MetricOverTime) -> None:
    """Print on stderr what is to be known beside a table that other programs read."""
    if isinstance(found, CohortComparison):
        for sentence in _confounder_sentences(found):
            say(sentence, err=True)
    print_notes(found)


def print_notes(found: CohortComparison | MetricCorrelations | MetricOverTime) -> None:
    """Print on stderr what was left out, and what no comparison says."""
    for note in found.notes:
        say(f"- {note}", err=True)


def _print_cohorts(found: CohortComparison) -> None:
    within = f", compared within fifths of {found.stratified_by}" if found.stratified_by else ""
    say(f"{found.question}: {counted(found.n, 'video')}; the rest: {found.n_rest}{within}")
    for sentence in _confounder_sentences(found):
        say(sentence)
    _print_differences("outcome", [one for one in found.outcomes if one.reason != NEVER_MEASURED])
    _print_differences("feature", found.told(Verdict.FOUND))
    say(found.summary())
    say("--csv and --json give all of them, --page writes a page", err=True)


def _confounder_sentences(found: CohortComparison) -> list[str]:
    said = []
    for confounder in found.confounders:
        if confounder.noteworthy or confounder.effect is None:
            hint = f" (--stratify {confounder.name})" if confounder.noteworthy and found.stratified_by != confounder.name else ""
            said.append(f"! {confounder.sentence()}{hint}")
    return said


def _print_differences(heading: str, differences: Sequence[FeatureDifference]) -> None:
    if not differences:
        return
    table = Table(*folding(heading, "n", "median", "rest: n", "median", "δ", "95 % interval", "p corrected", "told", whole=heading))
    for one in differences:
        middle = [_figure(value, is_share=one.is_share) for value in (one.value, one.value_rest)]
        table.add_row(one.feature, str(one.n), middle[0], str(one.n_rest), middle[1], *_tested(one))
    SafeConsole().print(table)


def _print_correlations(found: MetricCorrelations) -> None:
    say(f"{found.by}: known of {counted(found.n, 'video')}")
    shown = [one for one in found.features if one.verdict is Verdict.FOUND]
    for heading, features in (("beside", found.confounders), ("feature", shown)):
        if features:
            table = Table(*folding(heading, "n", "ρ", "95 % interval", "p corrected", "told", whole=heading))
            for one in features:
                table.add_row(one.feature, str(one.n), *_tested(one))
            SafeConsole().print(table)
    say(found.summary())
    say("--csv and --json give all of them, --page writes a page", err=True)


def _print_periods(found: MetricOverTime) -> None:
    table = Table(*folding(found.period, "videos", "a quarter below", f"median {found.by}", "a quarter above"))
    for one in found.periods[-_PERIODS_SHOWN:]:
        table.add_row(f"{one.start}", str(one.n), *(_figure(value) for value in (one.quarter, one.median, one.three_quarters)))
    SafeConsole().print(table)
    if len(found.periods) > _PERIODS_SHOWN:
        say(f"{_PERIODS_SHOWN} of {len(found.periods)} periods; --csv and --json give all", err=True)
    say(found.sentence())


def _tested(one: TestedFeature) -> tuple[str, str, str, str]:
    told = {Verdict.FOUND: one.size or "", Verdict.TOO_FEW: f"{one.verdict}: {one.reason}"}.get(one.verdict, str(one.verdict))
    interval = "—" if one.low is None or one.high is None else f"{one.low:+.2f} to {one.high:+.2f}"
    return ("—" if one.effect is None else f"{one.effect:+.2f}"), interval, _probability(one.p_corrected), told


def _figure(value: float | None, *, is_share: bool = False) -> str:
    if value is None:
        return "—"
    return f"{value:.0%}" if is_share else f"{value:.6g}"


def _probability(p: float | None) -> str:
    return "—" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"  # noqa: PLR2004 -- as papers have it
