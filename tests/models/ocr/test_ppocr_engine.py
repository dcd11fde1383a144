"""PP-OCR as an engine: what only it has."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from captions import LINES, STYLES, as_stored, backgrounds, draw_line, fitting, fonts, shown_by
from decoded import decoded
from pictures import batch
from rumiai_ray.errors import ConfigError, WeightsError
from rumiai_ray.models.ocr.easyocr_engine import LineReader
from rumiai_ray.models.ocr.model import Ocr
from rumiai_ray.models.ocr.scripts import letters_in
from rumiai_ray.models.ocr.settings import OcrSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rumiai_ray.models.base import ModelPlan

    Plans = Callable[..., ModelPlan]
    Row = dict[str, Any]

SENTENCE = ["nobody", "tells", "you", "this", "about", "making", "bread", "at", "home", "every", "single", "morning", "before", "work"]


FOREIGN = (
    "КРАСОТА В МЫСЛЯХ", "как сохранить деньги", "Жди до самого конца", "ПОДПИШИСЬ НА КАНАЛ", "лучший рецепт хлеба", "Дивіться до кінця",
    "Найкращий день у житті", "Гледай докрай", "Мој најбољи дан", "Καλημέρα σε όλους", "ΠΕΡΙΜΕΝΕ ΜΕΧΡΙ ΤΟ ΤΕΛΟΣ", "η πιο εύκολη συνταγή",
    "Բարի լույս բոլորին", "ամենահեշտ բաղադրատոմսը", "დილა მშვიდობისა", "უყურე ბოლომდე", "Сёння добры дзень", "қазақша сөйлесейік",
    "Это изменило мой сон", "Ничего не говори",
)  # fmt: skip
"""Lines that DejaVu has letters for, in scripts PP-OCR does not know."""
LATIN = (
    "Warte bis zum Schluß", "tu ne vas pas le croire", "¿quién lo diría?", "Não vais acreditar",
    "Nejlepší recept na chléb", "Çok kolay ekmek tarifi",
    "Největší změna", "Najlepszy przepis świata", "Hôm nay trời đẹp quá", "Cea mai ușoară rețetă",
    "PARTE 2 MAÑANA", "Det här är bäst",
    "XOXO BAHAMAS", "CHATEAU MAXIM", "KATE BOTTOM", "HOME TEAM 4 EXAM",
    "Bonne soirée à tous", "MOCKBA HOTEL", "B2B SaaS METRICS", "Hyvää huomenta",
)  # fmt: skip
"""Lines in Latin letters, with accents, and with letters that look like Cyrillic ones."""


@pytest.fixture(scope="module")
def ppocr(plan_for: Plans) -> Iterator[Ocr]:
    model = Ocr(plan_for("ocr"))
    model.load()
    yield model
    model.close()


def _rows(model: Ocr, images: Sequence[NDArray[np.uint8]]) -> list[Row]:
    return model.predict(batch(np.stack(images))).tables["texts"].to_pylist()


def _card(*lines: tuple[str, float, float], size_px: int = 48, style: str = "outline", seed: int = 1) -> Image.Image:
    """A made-up picture with lines of text at x, y."""
    (image,) = backgrounds(None, random.Random(seed), 1)
    for text, x, y in lines:
        draw_line(image, text, ImageFont.truetype(fonts()[0], size_px), (x, y), style, "black")
    return image


@pytest.mark.model("ocr")
def test_black_text_on_nothing_of_a_public_report_is_read(ppocr: Ocr, reported: Path) -> None:
    assert _text_in(ppocr, reported / "transparent_text.png") == "HELLO WORLD"


@pytest.mark.model("ocr")
@pytest.mark.parametrize(
    ("ending", "mode", "options"),
    [
        ("png", "RGBA", {}),
        ("png", "LA", {}),
        ("png", "P", {}),
        ("webp", "RGBA", {"lossless": True}),
        ("gif", "RGBA", {}),
        ("avif", "RGBA", {}),
    ],
)
@pytest.mark.parametrize("grey", [0, 90])
def test_dark_text_on_nothing_is_read(ppocr: Ocr, tmp_path: Path, ending: str, mode: str, options: dict[str, Any], grey: int) -> None:
    image = Image.new("RGBA", (640, 160), (0, 0, 0, 0))
    ImageDraw.Draw(image).text((40, 40), "HELLO WORLD", (grey, grey, grey, 255), ImageFont.truetype(fonts()[0], 72))
    path = tmp_path / f"text.{ending}"
    image.convert(mode).save(path, **options)
    assert _text_in(ppocr, path) == "HELLO WORLD"


def _text_in(model: Ocr, path: Path) -> str:
    """What is read in a picture file, decoded as videos are."""
    (picture,) = decoded(path).pictures
    return " ".join(row["text"] for row in _rows(model, [np.ascontiguousarray(picture[..., ::-1])]))


@pytest.mark.model("ocr")
def test_a_text_that_stays_is_carried_and_one_that_changes_is_read(ppocr: Ocr) -> None:
    frames = [as_stored(_card(("SAY IT WITH ME", 150, 200), (f"Day {number} of running", 150, 900), seed=1)) for number in (1, 2, 2, 3)]
    rows = _rows(ppocr, frames)
    shown = [[row["text"] for row in rows if row["frame_index"] == at] for at in range(4)]
    assert shown == [["SAY IT WITH ME", f"Day {number} of running"] for number in (1, 2, 2, 3)]
    assert [row["carried"] for row in rows] == [False, False, True, False, True, True, True, False]


@pytest.mark.model("ocr")
def test_what_was_carried_and_what_was_not_read_is_counted(ppocr: Ocr) -> None:
    frame = as_stored(_card(("SAY IT WITH ME", 150, 200)))
    tables = ppocr.predict(batch(np.stack([frame, frame, frame]))).tables
    assert Ocr.remarks(tables) == ("2 of 3 sightings carried over from the frame before, unchanged",)


@pytest.mark.model("ocr")
def test_nothing_is_remembered_from_one_call_to_the_next(ppocr: Ocr) -> None:
    frame = as_stored(_card(("SAY IT WITH ME", 150, 200)))
    first, second = (_rows(ppocr, [frame]) for _ in range(2))
    assert first == second
    assert [row["carried"] for row in first] == [False]


def _found_on_the_grid(ppocr: Ocr, captions: Sequence[str], stands_s: float, first_s: float, seed: int) -> list[str]:
    """The captions that are read somewhere on a grid of five frames a second, each shown for `stands_s` after the one before."""
    rng = random.Random(seed)
    grounds = backgrounds(None, rng, 4)
    places = [(rng.randint(20, 200), rng.randint(150, 1050), rng.choice((40, 52, 64)), rng.choice(STYLES)) for _ in captions]
    frames = []
    for time_s in np.arange(0, first_s + stands_s * len(captions) - 1e-6, 0.2):
        image = grounds[int(time_s) % 4].copy()
        at = int((time_s - first_s + 1e-6) // stands_s)
        if at >= 0:
            x, y, size_px, style = places[at]
            draw_line(image, captions[at], ImageFont.truetype(fonts()[at % len(fonts())], size_px), (x, y), style, "black")
        frames.append(as_stored(image))
    read = {row["text"].lower() for start in range(0, len(frames), 16) for row in _rows(ppocr, frames[start : start + 16]) if row["text"]}
    return [caption for caption in captions if caption.lower() in read]


@pytest.mark.model("ocr")
@pytest.mark.parametrize(("first_s", "seed"), [(0.0, 2), (0.07, 3), (0.15, 4)])
def test_words_that_stand_for_three_tenths_of_a_second_are_found_on_the_grid_of_five_frames(ppocr: Ocr, first_s: float, seed: int) -> None:
    found = _found_on_the_grid(ppocr, SENTENCE, 0.3, first_s, seed)
    assert len(found) >= 0.9 * len(SENTENCE), sorted(set(SENTENCE) - set(found))


@pytest.mark.model("ocr")
@pytest.mark.parametrize(("first_s", "seed"), [(0.0, 5), (0.13, 6)])
def test_no_caption_that_stands_for_four_tenths_of_a_second_is_lost(ppocr: Ocr, first_s: float, seed: int) -> None:
    captions = [f"{one} {other}" for one, other in pairwise(SENTENCE)]
    assert _found_on_the_grid(ppocr, captions, 0.4, first_s, seed) == captions


@pytest.mark.model("ocr")
@pytest.mark.parametrize("turn_deg", [0, 8, 90, 180, 270])
def test_turned_text_is_read_and_its_polygon_begins_at_its_first_letter(ppocr: Ocr, turn_deg: int) -> None:
    image = _card(("Follow for part 3", 150, 600)).crop((0, 280, 720, 1000))
    (row,) = _rows(ppocr, [as_stored(image.rotate(turn_deg, Image.Resampling.BICUBIC))])
    assert row["text"] == "Follow for part 3"
    corners = np.array(row["polygon"]).reshape(4, 2)
    along = corners[1] - corners[0]
    angle_deg = np.degrees(np.arctan2(-along[1], along[0])) % 360
    assert min(abs(angle_deg - turn_deg), 360 - abs(angle_deg - turn_deg)) <= 5


@pytest.mark.model("ocr")
@pytest.mark.parametrize("text", ["wait for the end...", "5 ★ RATED!", "30% OFF", "@studio.north", "#1 & only", "¿Qué? Sí!", "Straße 7"])
def test_punctuation_and_symbols_are_kept(ppocr: Ocr, text: str) -> None:
    image = _card(style="box")
    draw_line(image, text, ImageFont.truetype(fonts(("DejaVuSans-Bold.",))[0], 48), (80, 500), "box", "black")
    (row,) = _rows(ppocr, [as_stored(image)])
    assert row["text"].replace(" ", "") == text.replace(" ", "")


@pytest.mark.model("ocr")
@pytest.mark.parametrize("style", ["outline", "box", "shadow"])
@pytest.mark.parametrize("words", [("wait for it", ""), ("", "sale today"), ("POV", "my dog")])
def test_the_words_beside_an_emoji_are_read(ppocr: Ocr, words: tuple[str, str], style: str) -> None:
    """The emoji is drawn as the fonts of phones draw it: a yellow face, as high as the letters."""
    image, at_px = _card(), 60.0
    font = ImageFont.truetype(fonts(("DejaVuSans-Bold.",))[0], 48)
    for number, part in enumerate(words):
        if part:
            draw_line(image, part, font, (at_px, 500), style, "black")
            at_px += font.getlength(part) + 16
        if number == 0:
            draw = ImageDraw.Draw(image)
            draw.ellipse([at_px, 502, at_px + 52, 554], fill="#ffcc33", outline="#d99a00", width=2)
            for eye_px in (14, 34):
                draw.ellipse([at_px + eye_px, 518, at_px + eye_px + 6, 526], fill="#5a3a00")
            draw.chord([at_px + 12, 522, at_px + 40, 546], 0, 180, fill="#5a3a00")
            at_px += 68
    read = " ".join(row["text"] for row in sorted(_rows(ppocr, [as_stored(image)]), key=lambda row: row["polygon"][0]) if row["text"])
    assert [word for word in read.split() if word.isalpha()] == " ".join(words).split()


@pytest.mark.model("ocr")
def test_pictograms_are_no_text(ppocr: Ocr) -> None:
    (image,) = backgrounds(None, random.Random(3), 1)
    draw = ImageDraw.Draw(image)
    roof, door = [(0, 0), (45, -50), (90, 0)], [(30, 90), (30, 40), (60, 40), (60, 90)]
    slash, play = [(10, 10), (80, 80)], [(30, 20), (70, 45), (30, 70), (30, 20)]
    for (x, y), shape in zip([(100, 200), (400, 200), (100, 500), (400, 500)], (roof, door, slash, play), strict=True):
        draw.rectangle([x, y, x + 90, y + 90], outline="white", width=8)
        draw.line([(x + right, y + down) for right, down in shape], fill="white", width=8)
    assert [row["text"] for row in _rows(ppocr, [as_stored(image)])] == []


def _lines(sentences: Sequence[str], ppocr: Ocr) -> list[Row]:
    """One row for each sentence: the widest sighting, where the sentence stands, over different pictures in different sizes."""
    images = []
    for number, sentence in enumerate(sentences):
        (image,) = backgrounds(None, random.Random(number), 1)
        font = ImageFont.truetype(fonts(("DejaVuSans-Bold.",))[0], (26, 34, 44)[number % 3])
        draw_line(image, sentence, font, (30, 300 + 90 * (number % 8)), STYLES[number % len(STYLES)], "black")
        images.append(as_stored(image))
    nothing: Row = {"text": "", "confidence": None, "script": "not found"}
    return [max(_rows(ppocr, [image]), key=lambda row: row["x2"] - row["x1"], default=nothing) for image in images]


@pytest.mark.model("ocr")
def test_lines_in_scripts_nobody_reads_are_found_and_marked(ppocr: Ocr) -> None:
    rows = _lines(FOREIGN, ppocr)
    flagged = [row["text"] is None and row["confidence"] is None and row["script"] == "unknown" for row in rows]
    assert sum(flagged) >= 0.9 * len(FOREIGN), [(line, row["text"]) for line, row in zip(FOREIGN, rows, strict=True) if row["text"]]


@pytest.mark.model("ocr")
def test_lines_in_latin_letters_are_not_taken_for_foreign_ones(ppocr: Ocr) -> None:
    lines = [line for line in (*LINES, *LATIN) if letters_in(line) >= 6]
    rows = _lines(lines, ppocr)
    assert [line for line, row in zip(lines, rows, strict=True) if row["text"] is None] == []
    assert {row["script"] for row in rows} == {"latin"}


NAMES = st.sampled_from(
    ("studio", "north", "kitchen", "maria", "coffee", "sunset", "runner", "ocean", "bakery", "urban", "makeup", "Trend")
)
TAG_FORMS = (
    "@{0}.{1}", "@{0}_{1}", "@the.{0}.{1}", "@{0}{2}", "#{0}{1}", "#{0} #{1}", "www.{0}{1}.com", "https://{0}.co/{1}", "bit.ly/{0}{2}",
    "only ${2}.99 {0}", "{2}% off {0}", "★ {0} {1} ★", "{0} {1} ♥", "Use code {0}{2}", "J.R.R. {0}", "{0}.{1}.{2}", "Dr. {0} {1}",
    "{0} & {1}!",
)  # fmt: skip
TAGS = st.builds(
    lambda form, one, other, number: form.format(one, other, number), st.sampled_from(TAG_FORMS), NAMES, NAMES, st.integers(1, 2030)
)


@pytest.mark.model("ocr")
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
@given(lines=st.lists(TAGS | TAGS.map(str.upper), min_size=8, max_size=8, unique=True), seed=st.integers(0, 2**16))
def test_handles_addresses_hashtags_prices_and_capitals_are_not_taken_for_foreign_lines(ppocr: Ocr, lines: list[str], seed: int) -> None:
    rng = random.Random(seed)
    (image,) = backgrounds(None, rng, 1)
    files = fonts(("DejaVuSans", "LiberationSans", "Lato-B", "Roboto-", "OpenSans-", "Carlito", "FreeSans"))
    for number, line in enumerate(lines):
        file = rng.choice([file for file in files if shown_by(line, file)])
        draw_line(image, line, fitting(image, line, file, rng.choice((32, 40, 52))), (30, 60 + 145 * number), rng.choice(STYLES), "black")
    rows = _rows(ppocr, [as_stored(image)])
    assert len(rows) >= len(lines)
    assert [row["script"] for row in rows if row["script"] == "unknown"] == []


@pytest.mark.model("ocr")
def test_lines_of_other_scripts_go_to_the_recogniser_that_is_loaded_for_them_and_are_counted_where_none_is(ppocr: Ocr) -> None:
    reader: Any = ppocr._reader
    asked: list[tuple[int, ...]] = []

    class Cyrillic:
        def read(self, picture: NDArray[np.uint8]) -> tuple[str, float]:
            asked.append(picture.shape)
            return "КРАСОТА", 0.9

    reader._others = {"cyrillic": Cyrillic()}
    try:
        rows = _lines(["КРАСОТА В МЫСЛЯХ", "SAY IT WITH ME"], ppocr)
        unread = _rows(ppocr, [as_stored(_card(("Καλημέρα φίλοι μου", 40, 500), size_px=40))])
    finally:
        reader._others = {}
    assert [(row["text"], row["script"]) for row in rows] == [("КРАСОТА", "cyrillic"), ("SAY IT WITH ME", "latin")]
    assert len(asked) == 1
    assert [row["text"] for row in unread] == [None]


@pytest.mark.model("ocr")
def test_lines_of_one_caption_have_one_block(ppocr: Ocr) -> None:
    rows = _rows(ppocr, [as_stored(_card(("you won't believe", 100, 700), ("what happens next", 90, 760), ("LINK IN BIO", 200, 1100)))])
    assert [(row["block_index"], row["text"]) for row in rows] == [(0, "you won't believe"), (0, "what happens next"), (1, "LINK IN BIO")]


@pytest.mark.model("ocr")
@pytest.mark.parametrize("size_px", [(1, 1), (33, 1280), (1280, 33), (31, 31), (1000, 5)])
def test_pictures_of_any_shape_are_looked_at(ppocr: Ocr, size_px: tuple[int, int]) -> None:
    width, height = size_px
    _rows(ppocr, [np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)])


@pytest.mark.model("ocr")
def test_a_network_without_its_dictionary_is_a_weights_error(plan_for: Plans) -> None:
    plan = plan_for("ocr")
    swapped = replace(plan, files={**plan.files, "recogniser": plan.files["detector"]})
    with pytest.raises(WeightsError, match="names no characters"):
        Ocr(swapped).load()


@pytest.mark.model("ocr")
def test_a_damaged_network_is_a_weights_error(plan_for: Plans, tmp_path: Path) -> None:
    plan = plan_for("ocr")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(plan.files["detector"].read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="OpenVINO cannot load the network"):
        Ocr(replace(plan, files={**plan.files, "detector": damaged})).load()


def test_the_plan_names_the_recognisers_of_other_scripts_and_the_file_each_needs() -> None:
    (candidate,) = Ocr.candidates(OcrSettings(languages=("en", "ru", "uk", "fr", "ko")))
    assert candidate.backend == "ppocr/v6-small+easyocr/cyrillic_g2+korean_g2"
    assert [file.path for file in candidate.files][2:] == ["easyocr/cyrillic_g2.pth", "easyocr/korean_g2.pth"]
    assert candidate.only_local
    assert not candidate.runs_on_gpu


@pytest.mark.parametrize("languages", [("en",), ("en", "fr", "de", "ch_sim", "ja"), ("vi", "tr")])
def test_scripts_that_ppocr_reads_need_no_other_recogniser(languages: tuple[str, ...]) -> None:
    (candidate,) = Ocr.candidates(OcrSettings(languages=languages))
    assert candidate.backend == "ppocr/v6-small"
    assert [file.path for file in candidate.files] == ["ppocr/PP-OCRv6_det_small.onnx", "ppocr/PP-OCRv6_rec_small.onnx"]
    assert all(file.sha256 for file in candidate.files)
    assert set(candidate.profiles) == {"standard", "offline"}


def test_a_language_nobody_knows_is_refused() -> None:
    for languages in (("en", "xx"), ()):
        with pytest.raises(ConfigError, match="no such language"):
            Ocr.candidates(OcrSettings(languages=languages))


def test_each_engine_has_its_own_defaults_and_takes_others() -> None:
    ours, theirs = OcrSettings(), OcrSettings(engine="easyocr")
    assert (ours.looked_at_fps, ours.long_side_px, ours.least_confidence, ours.threads) == (None, 480, 0.5, 1)
    assert (theirs.looked_at_fps, theirs.long_side_px, theirs.least_confidence, theirs.threads) == (1.0, 640, 0.0, 2)
    asked = OcrSettings(engine="easyocr", fps=3, canvas_px=960, min_confidence=0.2, threads=5)
    assert (asked.looked_at_fps, asked.long_side_px, asked.least_confidence, asked.threads) == (3, 960, 0.2, 5)


@pytest.mark.parametrize(("language", "network"), [("ru", "cyrillic_g2"), ("ko", "korean_g2"), ("th", "thai_g1")])
def test_wiring_only_a_recogniser_with_seeded_weights_is_loaded_by_its_language_and_answers(
    language: str, network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No registry carries these recognisers: random weights show that the right network, characters and picture meet, and no more."""
    import torch  # noqa: PLC0415 -- heavy
    from easyocr import config  # noqa: PLC0415 -- heavy
    from easyocr.model import model, vgg_model  # noqa: PLC0415 -- heavy

    generation = "gen2" if network.endswith("g2") else "gen1"
    known = config.recognition_models[generation][network]
    torch.manual_seed(1)
    size = {"input_channel": 1, "output_channel": 256, "hidden_size": 256} if generation == "gen2" else {
        "input_channel": 1, "output_channel": 512, "hidden_size": 512,
    }  # fmt: skip
    made = (vgg_model if generation == "gen2" else model).Model(num_class=len(known["characters"]) + 1, **size)
    file = tmp_path / known["filename"]
    torch.save({f"module.{name}": value for name, value in made.state_dict().items()}, file)
    monkeypatch.setitem(known, "md5sum", hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest())
    reader = LineReader(file, [language], 1)
    text, confidence = reader.read(as_stored(_card(("КРАСОТА", 20, 20)).crop((0, 0, 400, 90))))
    assert (text is None) == (confidence is None)
    assert set(text or "") <= set(known["characters"])
