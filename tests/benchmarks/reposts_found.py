"""How many reposts of real clips `corpus duplicates` finds, and how many of the pairs that it makes are right.

Usage: reposts_found.py MEDIA
Of each clip's first five seconds every change of `tests/support/reposts.py` is made, and encoded again at a low quality. Faces before one
wall, one person before one wall, test cards and plain clips are among them. A pair is two videos of one cluster.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import combinations
from pathlib import Path

from report_run import write_run
from reposts import REPOSTS, part, plain_clip, read_clip, repost, rows_of
from rumiai_ray import open_corpus

CLIPS = (
    *("a_speech/grid_bbaf2n.mpg", "a_speech/grid_brbk7n.mpg", "a_speech/grid_id2_vcd_swwp2s.mpg", "a_speech/grid_lwbsza.mpg"),
    *("d_gesture/asl_thanks.mkv", "d_gesture/asl_walk.mkv", "d_gesture/asl_yes.mkv"),
    *("a_speech/nasa_13013_multistream.mp4", "b_objects/sam2_dog_fetch.mp4", "b_objects/sam2_juggle.mp4"),
    *("d_emotion/pyfeat_face_then_noface.mov", "b_objects/intel_face_demographics_3faces.gif"),
    *("c_text/moviepy_smpte_counters.mp4", "c_text_derived/tt_textcards_no_person_720x1280.mp4", "e_edge_real/tc_av1_video.mkv"),
)
"""Every clip shows something that no other shows."""
IN_PARTS = "d_emotion/pyfeat_sad_to_happy_pexels.mp4"
"""Five seconds from its beginning, and five from second 8 on, are two clips of one face before one ground."""


def main(media: Path) -> None:
    """Print recall, precision, and what is missed or wrong."""
    whole = read_clip(media / IN_PARTS, 13.0)
    originals = {"first part": part(whole, 0.0, 5.0), "second part": part(whole, 8.0, 13.0)}
    originals |= {name: read_clip(media / name) for name in CLIPS}
    clips = dict(originals)
    for name, shown in originals.items():
        clips |= {f"{name} | {change}": repost(shown, change) for change in REPOSTS}
    clips |= {"black": plain_clip(0), "grey": plain_clip(120)}
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder), {name: rows_of(name, shown) for name, shown in clips.items()})
        rows = open_corpus([run.store.uri()]).near_duplicates().to_pylist()
    clusters: dict[str, list[str]] = {}
    for row in rows:
        clusters.setdefault(row["cluster"], []).append(row["entry_id"])
    found = {pair for names in clusters.values() for pair in combinations(sorted(names), 2)}
    wanted = {(name, f"{name} | {change}") for name in originals for change in REPOSTS}
    wrong = sorted(pair for pair in found if pair[0].partition(" |")[0] != pair[1].partition(" |")[0])
    print(f"recall {len(found & wanted) / len(wanted):.3f} of {len(wanted)} reposts")
    print(f"precision {1 - len(wrong) / len(found):.4f} of {len(found)} pairs")
    for what, pairs in (("missed", sorted(wanted - found)), ("wrong", wrong)):
        for one, other in pairs:
            print(f"{what}: {one} ~ {other}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
