"""The profile `auto`: for each family the best candidate that is here or can be fetched, and the reason in words.

In this order: a flagship that is here, a flagship that can be fetched, a stand-in that is here, a stand-in that can be fetched. What a
resumed run or a warm cell was started with comes before all of them: a hub that does not answer for a minute must not end either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rumiai_ray.models.weights.choice import locate, nothing_complete
from rumiai_ray.models.weights.fetch import alternatives, unreachable, vouched
from rumiai_ray.models.weights.files import PackageSource, in_profile
from rumiai_ray.models.weights.reach import answering, host_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rumiai_ray.models.weights.choice import WantedModel
    from rumiai_ray.models.weights.files import Candidate


@dataclass(frozen=True)
class Choice:
    """What one family will run."""

    candidate: Candidate
    reason: str
    """In words, for the plan and the manifest."""
    fetch: bool
    """Whether files are still to be fetched."""
    ask: Candidate | None = None
    """A flagship that only wants its licence accepted; `candidate` is what runs if it is not."""


@dataclass(frozen=True)
class WeightsSurvey:
    """What is known when the choice is made. A new one after a fetch failed has the failure in `barred`."""

    directories: Sequence[Path]
    accepted: bool = False
    """Whether the user has accepted licences that forbid commercial use."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Backends by family that a resumed run or a warm cell has."""
    barred: Mapping[str, str] = field(default_factory=dict)
    """Backends that cannot be had or cannot run here, and why."""
    answers: dict[str, bool] = field(default_factory=dict)
    """Hosts by whether they answer; filled in as they are asked."""

    def choose(self, wanted: Sequence[WantedModel]) -> dict[str, Choice]:
        """The choice for each family.

        Hosts are asked only where a file is missing that nothing but they have, all at once, and for seconds at most.

        Raises:
            MissingWeightsError: nothing can run a family: names the files, and the hosts that do not answer.
            WeightsError: a directory or a file of pins cannot be read.
        """
        offered = {one.model.name: in_profile(one.model.choices(one.settings), "auto") for one in wanted}
        self._knock([candidate for candidates in offered.values() for candidate in self._to_fetch(candidates)])
        made: dict[str, Choice] = {}
        lacking: dict[str, tuple[Candidate, ...]] = {}
        for name, candidates in offered.items():
            choice = self._of(name, candidates)
            if choice is None:
                lacking[name] = candidates
            else:
                made[name] = choice
        if lacking:
            missing = nothing_complete(lacking, "auto", self.directories)
            barred = [f"  {backend}: {why}" for backend, why in self._whys(lacking).items()]
            raise type(missing)("\n".join([missing.what, *barred]), missing.subject, missing.hint)
        return made

    def _of(self, name: str, candidates: Sequence[Candidate]) -> Choice | None:
        kept = next((one for one in candidates if one.backend == self.kept.get(name)), None)
        if kept is not None and (self._is_here(kept) or not self._why_not(kept)):
            return Choice(kept, "kept: the run or the warm cell was started with it", fetch=not self._is_here(kept))
        passed: list[str] = []
        ask = None
        for stand_in in (False, True):
            of_kind = [one for one in candidates if one.stand_in is stand_in]
            here = next((one for one in of_kind if self._is_here(one) and one.backend not in self.barred), None)
            chosen = here or next((one for one in of_kind if not self._why_not(one)), None)
            if chosen is not None:
                kind = "stand-in" if stand_in else "flagship" if len(candidates) > 1 else "the only candidate"
                reason = f"{kind}, {'here' if here else 'can be fetched'}"
                if stand_in and passed:
                    reason = f"{'; '.join(passed)}; its stand-in {'is on this machine' if here else 'can be fetched'}"
                return Choice(chosen, reason, fetch=here is None, ask=ask)
            passed += [f"the flagship {one.backend} is not available ({self._why_not(one)})" for one in of_kind if not one.only_local]
            ask = ask or next((one for one in of_kind if self._wants_consent(one) and not self._hosts_silent(one)), None)
        return None

    def _is_here(self, candidate: Candidate) -> bool:
        return len(locate(candidate.files, self.directories)) == len(candidate.files) and vouched(candidate, self.directories)

    def _to_fetch(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those of one family that hosts must be asked for: none where a flagship is here already."""
        if any(self._is_here(one) for one in candidates if not one.stand_in and one.backend not in self.barred):
            return []
        return [one for one in candidates if not one.only_local and one.backend not in self.barred and not self._is_here(one)]

    def _knock(self, candidates: Sequence[Candidate]) -> None:
        sources = [
            part
            for candidate in candidates
            for file in candidate.files
            for parts in alternatives(file, "auto")
            for part in parts
            if not isinstance(part, PackageSource) and host_of(part) not in self.answers
        ]
        if sources:
            self.answers.update(answering(sources))

    def _why_not(self, candidate: Candidate) -> str:
        """Why a candidate that is not here cannot be fetched; empty where it can."""
        if candidate.backend in self.barred:
            return self.barred[candidate.backend]
        if candidate.only_local:
            return "nothing can fetch it"
        silent = self._hosts_silent(candidate)
        if silent:
            return f"no answer from {', '.join(silent)}"
        if self._wants_consent(candidate):
            return "its licence, non-commercial, was not accepted (`--accept-noncommercial`)"
        return ""

    def _hosts_silent(self, candidate: Candidate) -> list[str]:
        found = locate(candidate.files, self.directories)
        absent = [
            file
            for file in candidate.files
            if file not in found or (file.trusted_on_first_use and not vouched(candidate, self.directories))
        ]
        self._knock([candidate])
        return unreachable(absent, "auto", self.answers)

    def _wants_consent(self, candidate: Candidate) -> bool:
        barred = candidate.backend in self.barred or candidate.only_local
        return not barred and candidate.noncommercial and not self.accepted and not vouched(candidate, self.directories)

    def _whys(self, lacking: Mapping[str, Sequence[Candidate]]) -> dict[str, str]:
        return {one.backend: self._why_not(one) for candidates in lacking.values() for one in candidates}
