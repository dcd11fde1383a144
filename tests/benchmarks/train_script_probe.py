"""Train the script probe: lines of CLDR's words in many scripts and fonts, what the recogniser makes of them, a linear classifier on that.

Usage: train_script_probe.py RECOGNISER.onnx MEDIA OUT.npz [LINES]
Needs `babel` (CLDR's names of countries, languages and currencies) and fonts for the scripts; prints the error rates on words and font
families that were held out.
"""

from __future__ import annotations

import random
import re
import sys
import unicodedata
import zlib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from babel import Locale, UnknownLocaleError, localedata
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image, ImageFilter

from captions import LINES, STYLES, as_stored, backgrounds, draw_line, fitting
from rumiai_ray.models.ocr.ppocr_recogniser import TextRecogniser
from rumiai_ray.models.ocr.script_probe import CLASSES, KNOWN, pooled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KNOWN_SCRIPTS = {"latin", "han", "japanese", "nothing"}
_NO_TEXT = 0.08
"""Share of pictures without text, which a detector cuts out now and then."""
_TAGS = 8
"""One line of handles, hashtags and prices more for so many others: without them `@studio.north` passed for foreign."""
_TAG_FORMS = (
    "@{0}.{1}", "@{0}_{1}", "@{0}{2}", "#{0}{1}", "#{0} #{1}", "www.{0}{1}.com", "{0}.{1}", "{0}{2}", "{0} ${2}.99", "{0}-{1}/{2}",
    "{0}'s {1}...", "({0}) {1}!", "{0}&{1}", '"{0} {1}"', "{0}: {1}?", "{2}% {0}",
)  # fmt: skip
_HELD_OUT = 4
"""One word, and one font family, of so many is kept for the test."""
_SHARES = {
    "latin": 0.42,
    "han": 0.05,
    "japanese": 0.04,
    "cyrillic": 0.16,
    "hangul": 0.07,
    "thai": 0.05,
    "arabic": 0.05,
    "devanagari": 0.05,
    "greek": 0.04,
    "hebrew": 0.02,
}
_LOOK_ALIKES = str.maketrans("", "", "АВЕКМНОРСТУХасекорхуiІіЅѕЈј")


def held_out(name: str) -> bool:
    return zlib.crc32(name.encode()) % _HELD_OUT == 0


def words_by_script() -> dict[str, list[str]]:
    """CLDR's display names, and the short captions of the tests, by script."""
    from rumiai_ray.models.ocr.scripts import letters_in, script_of  # noqa: PLC0415

    found: defaultdict[str, set[str]] = defaultdict(set)
    for name in localedata.locale_identifiers():
        if "_" in name and name.count("_") > 1:
            continue
        try:
            locale = Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
        for names in (locale.territories, locale.languages, locale.currencies):
            for text in names.values():
                for word in re.split(r"[\s/()\[\],]+", unicodedata.normalize("NFC", str(text))):
                    if letters_in(word) >= 2:
                        found[script_of(word)].add(word)
    found["latin"].update(word for line in LINES for word in line.split())
    return {script: sorted(words) for script, words in found.items() if len(words) >= 100}


def fonts_by_script(words: dict[str, list[str]]) -> dict[str, dict[bool, list[list[str]]]]:
    """Font files that have a script's letters, by family and by whether the family is held out. Each family is drawn as often as the next:
    one with 72 files would else count as much as all of handwriting."""
    letters = {script: {ord(letter) for word in some[:300] for letter in word if letter.isalpha()} for script, some in words.items()}
    files: dict[str, defaultdict[str, list[str]]] = {script: defaultdict(list) for script in words}
    for path in sorted(
        [*Path("/usr/share/fonts").rglob("*.ttf"), *Path("/usr/share/fonts").rglob("*.ttc"), *Path("/usr/share/fonts").rglob("*.otf")]
    ):
        if re.search("Italic|Oblique|Emoji|Math|Symbol", path.name):
            continue
        try:
            known = set(TTFont(path, fontNumber=0).getBestCmap())
        except (TTLibError, OSError, TypeError):
            continue
        family = re.match("[A-Za-z]+?(?=Serif|Sans|Mono|[-.A-Z0-9]|$)", path.stem)
        for script, wanted in letters.items():
            if len(wanted & known) >= 0.97 * len(wanted):
                files[script][family.group() if family else path.stem].append(str(path))
    found = {}
    for script, families in files.items():
        split = {test: [fonts for name, fonts in families.items() if held_out(name) == test] for test in (True, False)}
        # A script with one family is tested on that.
        found[script] = {True: split[True] or split[False], False: split[False] or split[True]}
        print(script, len(words[script]), "words;", len(split[False]), "families,", len(split[True]), "held out")
    return {script: families for script, families in found.items() if families[True]}


def phrase(words: list[str], rng: random.Random, script: str) -> str:
    while True:
        picked = [rng.choice(words) for _ in range(rng.choice([1, 1, 2, 2, 3, 4]))]
        style = rng.random()
        text = (" " if script not in {"han", "japanese", "thai"} else "").join(picked)
        text = text.upper() if style < 0.3 else text.lower() if style < 0.5 else text
        if rng.random() < 0.15:
            text += " " + str(rng.randint(0, 2030))
        if rng.random() < 0.2:
            text += rng.choice(["!", "?", "...", ".", ":", " #1", " 50%"])
        if script == "cyrillic" and len(re.sub(r"[\W\d]", "", text.translate(_LOOK_ALIKES))) < 2:
            continue  # a word of shared glyphs only has no script of its own
        if 2 <= len(text) <= 40:
            return text


def tag(words: list[str], rng: random.Random) -> str:
    """A handle, a hashtag, an address, a code or a price: Latin letters in company that running text does not keep."""
    plain = [word for word in (rng.choice(words) for _ in range(40)) if word.isascii() and word.isalpha()] or ["name"]
    one, two = rng.choice(plain), rng.choice(plain)
    made = rng.choice(_TAG_FORMS)
    text = made.format(one, two, rng.randint(1, 2030))
    return text.lower() if rng.random() < 0.5 else text.upper() if rng.random() < 0.3 else text


def rendered(text: str, families: list[list[str]], ground: Image.Image, rng: random.Random) -> NDArray[np.uint8]:
    """The picture of one line in a font of one of these families, cut out as a detector would."""
    while (picture := _rendered(text, rng.choice(rng.choice(families)), ground, rng)) is None:
        pass
    return picture


def _rendered(text: str, font_file: str, ground: Image.Image, rng: random.Random) -> NDArray[np.uint8] | None:
    """The same in this font; None where the font draws nothing."""
    left, top = rng.randint(0, 200), rng.randint(0, 900)
    image = ground.crop((left, top, left + 520, top + 300))
    font = fitting(image, text, font_file, rng.choice([14, 18, 22, 28, 34, 40, 48, 60]), 60)
    shown = draw_line(image, text, font, (30, 90), rng.choice(STYLES), rng.choice(["white", "black", "#ff2d55", "#ffe600", "#1d6fe0"]))
    x1, y1, x2, y2 = shown.box
    height = y2 - y1
    if height < 4 or x2 - x1 < 4:
        return None
    if rng.random() < 0.25:
        image = image.rotate(rng.uniform(-3, 3), Image.Resampling.BICUBIC, center=((x1 + x2) / 2, (y1 + y2) / 2))
    if rng.random() < 0.25:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    margins = [rng.uniform(0.0, 0.3) * height for _ in range(4)]
    return as_stored(image.crop((max(0, x1 - margins[0]), max(0, y1 - margins[1]), x2 + margins[2], y2 + margins[3])))


def patch(ground: Image.Image, rng: random.Random) -> NDArray[np.uint8]:
    """A piece of a real frame in the shape of a line, without text."""
    height = rng.randint(12, 120)
    width = round(height * rng.uniform(1, 8))
    left, top = rng.randint(0, max(0, ground.width - width)), rng.randint(0, ground.height - height)
    return as_stored(ground.crop((left, top, min(ground.width, left + width), top + height)))


def main() -> None:
    network, media, out = (Path(argument) for argument in sys.argv[1:4])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 6000
    rng = random.Random(1)
    words = words_by_script()
    fonts = fonts_by_script(words)
    recogniser, grounds = TextRecogniser(network, 1), backgrounds(media, rng, 40)
    rest = [script for script in fonts if script not in _SHARES]
    shares = [_SHARES.get(script, (1 - sum(_SHARES.values())) / len(rest)) for script in fonts]
    split = {(script, test): [word for word in words[script] if held_out(word) == test] for script in words for test in (True, False)}
    samples: dict[bool, list[tuple[str, str, str, NDArray[np.float32]]]] = {True: [], False: []}
    for number in range(count):
        script, test = rng.choices(list(fonts), shares)[0], number % 4 == 0
        if rng.random() < _NO_TEXT:
            script, text, picture = "nothing", "", patch(rng.choice(grounds), rng)
        else:
            text = phrase(split[script, test], rng, script)
            picture = rendered(text, fonts[script][test], rng.choice(grounds), rng)
        line = recogniser.read(picture)
        samples[test].append((script, text, line.text, pooled(line.features)))
        if number % 500 == 0:
            print(number, script, text, "->", line.text, round(line.confidence, 2), flush=True)
    for number in range(count // _TAGS):
        test = number % 4 == 0
        text = tag(split["latin", test], rng)
        line = recogniser.read(rendered(text, fonts["latin"][test], rng.choice(grounds), rng))
        samples[test].append(("latin", text, line.text, pooled(line.features)))
    weights, bias = fitted(samples[False])
    np.savez_compressed(out, weights=weights, bias=bias)
    report(samples[True], weights, bias)


def label(script: str) -> int:
    return CLASSES.index(KNOWN if script in _KNOWN_SCRIPTS else script if script in CLASSES else "other")


def fitted(samples: list[tuple[str, str, str, NDArray[np.float32]]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (features, classes) and bias of a softmax classifier; standardisation folded in."""
    features = torch.from_numpy(np.stack([sample[3] for sample in samples])).double()
    labels = torch.tensor([label(sample[0]) for sample in samples])
    mean, spread = features.mean(0), features.std(0) + 1e-6
    features = (features - mean) / spread
    weights = torch.zeros(features.shape[1], len(CLASSES), dtype=torch.double, requires_grad=True)
    bias = torch.zeros(len(CLASSES), dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(features @ weights + bias, labels) + 1e-3 * (weights**2).sum() / 2
        value.backward()
        return value

    optimiser.step(loss)
    raw = weights.detach() / spread[:, None]
    return raw.numpy().astype(np.float32), (bias.detach() - mean @ raw).numpy().astype(np.float32)


def report(samples: list[tuple[str, str, str, NDArray[np.float32]]], weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
    features = np.stack([sample[3] for sample in samples])
    scores = features @ weights + bias
    odds = np.exp(scores - scores.max(1, keepdims=True))
    foreign = 1 - (odds / odds.sum(1, keepdims=True))[:, CLASSES.index(KNOWN)]
    scripts = np.array([sample[0] for sample in samples])
    long = np.array([sum(letter.isalpha() for letter in sample[1]) >= 6 for sample in samples])
    for script in sorted(set(scripts)):
        mine = foreign[(scripts == script) & long]
        right = (scores.argmax(1) == label(script))[(scripts == script) & long].mean() if len(mine) else 0
        flagged = ", ".join(f"{limit}: {np.mean(mine > limit):.3f}" for limit in (0.5, 0.8, 0.9, 0.95))
        print(f"{script:12} {len(mine):4} lines; flagged at {flagged}; class right {right:.3f}")


if __name__ == "__main__":
    main()
