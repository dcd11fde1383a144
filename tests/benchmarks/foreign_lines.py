"""How many lines the script probe flags as foreign: generated Latin ones with unusual company, and lines in seven other scripts.

Usage: foreign_lines.py RECOGNISER.onnx MEDIA [--seed 21] [--latin 500] [--foreign 50]
Lines have six letters or more; fonts are all families of the machine that have a line's characters, each family as often as the next.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont, TTLibError

from captions import STYLES, as_stored, backgrounds, draw_line, fitting, shown_by
from rumiai_ray.models.ocr.ppocr_recogniser import TextRecogniser
from rumiai_ray.models.ocr.script_probe import KNOWN, ScriptProbe
from rumiai_ray.models.ocr.scripts import COMMON, letters_in, script_of

LIMITS = (0.5, 0.8, 0.9)
WORDS = [
    "studio",
    "north",
    "kitchen",
    "maria",
    "daily",
    "coffee",
    "sunset",
    "nova",
    "pixel",
    "runner",
    "ocean",
    "bakery",
    "urban",
    "luna",
    "travel",
    "fit",
    "garden",
    "sarah",
    "mike",
    "jules",
    "vegan",
    "style",
    "home",
    "craft",
    "wild",
    "river",
    "lab",
    "lens",
    "beauty",
    "tech",
    "moto",
    "green",
    "tiny",
    "box",
    "sound",
    "wave",
    "skin",
    "hair",
    "glow",
    "makeup",
    "outfit",
    "recipe",
    "budget",
    "workout",
    "routine",
    "viral",
    "trend",
    "part",
    "follow",
    "share",
    "link",
    "discount",
    "code",
    "sale",
    "shop",
    "now",
    "free",
    "best",
    "ever",
    "before",
    "after",
    "thanks",
    "love",
    "happy",
    "summer",
    "winter",
]
FORMS = (
    "@{0}.{1}", "@{0}_{1}", "@{0}.{1}.{2}", "@_{0}{1}_", "@{0}{3}", "@the.{0}.{1}", "@{0}.official", "www.{0}{1}.com", "https://{0}.co/{1}",
    "{0}-{1}.org", "{0}.{1}.io/{2}", "bit.ly/{0}{3}", "youtu.be/{0}{3}", "#{0}{1}", "#{4}{1}", "#{0} #{1} #{2}", "#{0}_{1}", "${3}.99 {0}",
    "only €{3},50 {0}", "{0} £{3}", "{3}% off {0} {1}", "USD {3}.00 {0}", "was ${3} now $3 {0}", "★ {0} {1} ★", "{0} {1} ♥", "→ {0} {1}",
    "♫ {0} {1} ♫", "{5} {6}", "{5} & {6}", "{5}{6}", "{5}: {6}", "J.R.R. {4}", "{4}.{1}", "U.S.A. {4}", "Dr. {4} {1}", "v{3}.1 {0}",
    "{0}.mp4 {1}", "Use code {5}{3}", "code: {5}{3}", "promo {5}-{3}", "{5}{3} at checkout", "{0} {1} {2}",
)  # fmt: skip
FOREIGN = {
    "cyrillic": ("Красота в мыслях", "как сохранить деньги", "Дивіться до кінця", "Гледай докрай сега", "БЕСПЛАТНАЯ ДОСТАВКА"),
    "hangul": ("끝까지 봐주세요 여러분", "오늘의 아침 루틴이에요", "이렇게 쉬운 빵 레시피"),
    "arabic": ("انتظر حتى النهاية", "أفضل وصفة للخبز", "الرابط في الملف الشخصي"),
    "greek": ("Καλημέρα σε όλους", "η πιο εύκολη συνταγή", "ΠΕΡΙΜΕΝΕ ΜΕΧΡΙ ΤΟ ΤΕΛΟΣ"),
    "thai": ("ดูให้จบนะทุกคน", "สูตรขนมปังง่ายที่สุด", "ลิงก์อยู่ในโปรไฟล์"),
    "devanagari": ("अंत तक जरूर देखें", "सबसे आसान रोटी की विधि", "लिंक बायो में है दोस्तों"),
    "hebrew": ("חכו עד הסוף של הסרטון", "המתכון הכי קל ללחם", "הקישור בפרופיל שלי"),
}


def latin(rng: random.Random) -> str:
    while True:
        one, other, third = (rng.choice(WORDS) for _ in range(3))
        text = rng.choice(FORMS).format(one, other, third, rng.randint(1, 2030), one.title(), one.upper(), other.upper())
        if letters_in(text) >= 6 and len(text) <= 34:
            return text


def families() -> list[list[str]]:
    """Font files by family, upright ones that are no hairlines."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(Path("/usr/share/fonts").rglob("*.tt[fc]")):
        if re.search("Italic|Oblique|Emoji|Math|Symbol|Slanted|Thin|Hairline|ExtraLight", path.name):
            continue
        try:
            TTFont(path, fontNumber=0).getBestCmap()
        except (TTLibError, OSError):
            continue
        family = re.match("[A-Za-z]+?(?=Serif|Sans|Mono|[-.A-Z0-9]|$)", path.stem)
        found[family.group() if family else path.stem].append(str(path))
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recogniser", type=Path)
    parser.add_argument("media", type=Path)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--latin", type=int, default=500)
    parser.add_argument("--foreign", type=int, default=50)
    asked = parser.parse_args()
    rng, recogniser, probe = random.Random(asked.seed), TextRecogniser(asked.recogniser, 1), ScriptProbe()
    grounds, fonts = backgrounds(asked.media, rng, 30), families()

    def foreign(text: str) -> float:
        """The probability, as `PpocrReader` judges it, that a rendered line is foreign."""
        while True:  # a font may have the characters and draw nothing
            file = rng.choice(rng.choice(fonts))
            if not shown_by(text, file):
                continue
            ground = rng.choice(grounds).crop((100, 400, 620, 700))
            font = fitting(ground, text, file, rng.choice([20, 26, 32, 40, 48, 60]), 60)
            x1, y1, x2, y2 = draw_line(ground, text, font, (30, 90), rng.choice(STYLES), rng.choice(["white", "black", "#ff2d55"])).box
            if y2 - y1 >= 4 and x2 - x1 >= 4:
                break
        margin = rng.uniform(0.02, 0.3) * (y2 - y1)
        line = recogniser.read(as_stored(ground.crop((max(0, x1 - margin), y1 - margin, x2 + margin, y2 + margin))))
        if line.confidence >= 0.9 and script_of(line.text) == COMMON and any(map(str.isdecimal, line.text)):
            return 0.0
        return 1 - probe.probabilities(line.features)[KNOWN]

    print("| lines | " + " | ".join(f"flagged at {limit}" for limit in LIMITS) + " |\n|---|" + "---|" * len(LIMITS))
    sets = {"latin": [latin(rng) for _ in range(asked.latin)]}
    sets |= {script: [rng.choice(lines) for _ in range(asked.foreign)] for script, lines in FOREIGN.items()}
    for script, lines in sets.items():
        odds = np.array([foreign(line) for line in lines])
        print(f"| {len(lines)} {script} | " + " | ".join(f"{np.mean(odds >= limit):.4f}" for limit in LIMITS) + " |", flush=True)


if __name__ == "__main__":
    main()
