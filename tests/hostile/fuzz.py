"""Coverage-guided fuzzing of one target of `hostile_targets` with atheris, in this process, which libFuzzer ends.

    python tests/hostile/fuzz.py TARGET FOLDER LIBFUZZER_OPTION…

FOLDER gets `counts.json`: for each function of the target how many inputs were refused and analysed. It also gets the input of a fault.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "support")]

with atheris.instrument_imports(include=["rumiai_ray"]):
    import hostile_seeds
    import hostile_targets

_EVERY = 200


def main(target: str, folder: Path, options: list[str]) -> None:
    """Fuzz until an option ends it or an input breaks the target."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for data in hostile_seeds.seeds_of_target(target):
        (corpus / hostile_seeds.digest_of(data)).write_bytes(data)
    counts = {name: {"refused": 0, "analysed": 0} for name in hostile_targets.TARGETS[target]}
    tried = 0

    def one(data: bytes) -> None:
        nonlocal tried
        name, rest = hostile_targets.chosen(target, data)
        counts[name][hostile_targets.tried(name, rest)] += 1
        tried += 1
        if tried % _EVERY == 0:  # libFuzzer ends this process without a word to Python
            (folder / "counts.json").write_text(json.dumps(counts))

    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
