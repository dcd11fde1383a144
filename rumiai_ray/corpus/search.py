"""Finding words in a corpus: in what is said, in what is written on the screen, and in what is seen.

The index is SQLite's FTS5, and it lives for one call, in a temporary file that SQLite removes: an index that stayed would be a copy of
model outputs which no run's commit records vouch for, and it would go on naming a creator whose rows were taken out.

FTS5 finds words where spaces are. In scripts that are written without spaces (Han, kana, Thai, …), and in Korean, whose particles follow a
word without one, each character is a word of its own and a word that is looked for is a phrase of its characters. The tokenizer `trigram`
would not do: it finds nothing shorter than three characters, and most words of these scripts are shorter.

Index and query are in Unicode's form NFKC, so that a word is found however its text encodes it: composed or decomposed, full or half width.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa

from rumiai_ray.corpus.files import quoted
from rumiai_ray.errors import ConfigError
from rumiai_ray.schema.table import column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rumiai_ray.corpus.reader import Corpus

MARKS = ("[[", "]]")
"""What stands before and after a word that was found."""
MOST_WORDS = 32
"""In one search; FTS5 refuses an expression of some hundred terms."""

_TOKENIZE = "tokenize = 'porter unicode61 remove_diacritics 2'"
_TABLE = f"""
    CREATE VIRTUAL TABLE rows USING fts5(
        text, original UNINDEXED, kind UNINDEXED, run_id UNINDEXED, video_key UNINDEXED, start_s UNINDEXED, end_s UNINDEXED, {_TOKENIZE}
    )
"""
_QUERY_TABLES = (
    f"CREATE VIRTUAL TABLE terms USING fts5(text, {_TOKENIZE})",
    "CREATE VIRTUAL TABLE tokens USING fts5vocab(terms, 'instance')",
)
"""The words that are looked for, and the tokens that FTS5 makes of them."""
_SOURCES = {
    "speech_segments": "SELECT 'speech' AS kind, run_id, video_key, start_s, end_s, text FROM speech_segments",
    "text_spans": "SELECT 'screen' AS kind, run_id, video_key, start_s, end_s, text FROM text_spans",
    "objects": "SELECT 'object' AS kind, run_id, video_key, min(time_s) AS start_s, max(time_s) AS end_s, label AS text "
    "FROM objects GROUP BY run_id, video_key, label",
}
"""What is searched, by table: each row of speech, each appearance of a text, each class of objects in a video."""

HITS = pa.schema(
    (
        column("entry_id", pa.string(), "The newest entry of the video; null where no run has one.", nullable=True),
        column("input", pa.string(), "Its path or URL; null likewise.", nullable=True),
        column(
            "kind", pa.string(), "Where the words are: said, on the screen, or the name of what is seen.", range_="speech|screen|object"
        ),
        column("start_s", pa.float64(), "When it begins, from the first presented frame; of an object the first sighting.", unit="s"),
        column("end_s", pa.float64(), "When it ends; of an object the last sighting.", unit="s"),
        column("words", pa.int64(), "How many of the words that were looked for are in it; 1 for a raw query.", range_="1.."),
        column("text", pa.string(), f"The whole text, with {MARKS[0]} and {MARKS[1]} around what was found."),
        column("video_key", pa.string(), "SHA-256 of the video's bytes."),
        column("run_id", pa.string(), "The run that computed the row."),
    ),
    metadata={"definition": "One place where words were found, the best first."},
)

_EACH_A_WORD = re.compile(
    "([\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003fffd])"
)
"""Characters that are words of their own: Thai, Lao, Tibetan, Burmese, Khmer, Han, kana and Hangul."""
_BETWEEN = "\u200b"
"""Stands between such characters in the index: a zero width space, which FTS5 takes for the end of a word."""
_OPENS, _CLOSES = "\x02", "\x03"
"""Stand around what was found in an indexed text, and nowhere else in it."""
_AS_SPACE = dict.fromkeys(map(ord, ("\0", _OPENS, _CLOSES, _BETWEEN)), " ")
"""Characters that are not part of any word and have a meaning to SQLite or in the index."""
_ROWS_AT_A_TIME = 10_000


def search(corpus: Corpus, words: str, *, raw: bool = False, limit: int = 20) -> tuple[pa.Table, int]:
    """Find words in what is said, written and seen in a corpus's videos.

    A row is found that has one of the words. Rows with more of the words come first, of equals the one with the better BM25 score. Case,
    accents, English endings (`dogs`, `running`), width (`ＤＯＧ`, `ｶ`) and Unicode composition make no difference; words that differ in
    nothing else are one word.

    Args:
        corpus: what is searched.
        words: separated by spaces; everything else in them is text, never an operator.
        raw: `words` is an expression in FTS5's own syntax: `"dog runs"`, `dog*`, `dog NOT cat`, `NEAR(dog ball, 5)`.
        limit: most rows to give.

    Returns:
        The rows, in the columns of `HITS`; and how many were found in all.

    Raises:
        ConfigError: there is nothing to look for, or too much; FTS5 does not understand the raw query; or DuckDB is not installed.
        StorageError: a run is damaged.
    """
    terms = [_as_indexed(_encodable(words))] if raw else _phrases(words)
    with closing(sqlite3.connect("")) as index:  # in memory as far as SQLite's cache goes, then in a file without a name
        _fill(index, corpus)
        if not raw:
            terms = _distinct(index, terms)
        try:
            found = _found(index, terms, limit)
            total: int = index.execute("SELECT count(*) FROM rows WHERE rows MATCH ?", (" OR ".join(terms),)).fetchone()[0]
        except sqlite3.OperationalError as error:
            hint = "without --raw, every character is taken as text; the syntax is in https://sqlite.org/fts5.html"
            raise ConfigError(f"not a query in FTS5's syntax: {error}", words, hint) from error
    return _named(corpus, found), total


def _phrases(words: str) -> list[str]:
    """Each word as an FTS5 string, in which no character is an operator."""
    text = _normal(_encodable(words))
    given = list(dict.fromkeys(word for word in text.split() if any(character.isalnum() for character in word)))
    if not given:
        raise ConfigError("no word to look for", words, "a word has a letter or a digit")
    if len(given) > MOST_WORDS:
        raise ConfigError(f"{len(given)} words", words, f"look for at most {MOST_WORDS}")
    return ['"' + _as_indexed(word).replace('"', '""') + '"' for word in given]


def _distinct(index: sqlite3.Connection, phrases: Sequence[str]) -> list[str]:
    """The first of all phrases that are the same tokens to FTS5, such as `Dog` and `dogs`."""
    index.executemany("INSERT INTO terms (rowid, text) VALUES (?, ?)", enumerate(phrases))
    tokens: dict[int, list[str]] = {place: [] for place in range(len(phrases))}
    for place, token in index.execute("SELECT doc, term FROM tokens ORDER BY doc, offset"):
        tokens[place].append(token)
    first: dict[tuple[str, ...], str] = {}
    for place, phrase in enumerate(phrases):
        first.setdefault(tuple(tokens[place]), phrase)
    return list(first.values())


def _encodable(words: str) -> str:
    """`words` with `?` for each lone surrogate, which stands for a byte of the command line that is not UTF-8."""
    return words.encode("utf-8", "replace").decode()


def _normal(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_AS_SPACE)


def _as_indexed(text: str) -> str:
    return _EACH_A_WORD.sub(rf"{_BETWEEN}\1{_BETWEEN}", _normal(text))


def _marked(original: str, highlighted: str) -> str:
    """`original` with `MARKS` where its indexed form, `highlighted`, has `_OPENS` and `_CLOSES`.

    A character that was found in part (the 2 in ½) is marked as a whole.
    """
    pieces = _pieces(original)
    piece_of = [place for place, piece in enumerate(pieces) for _ in _normal(piece)]
    opens: set[int] = set()
    closes: set[int] = set()
    at = 0
    for character in highlighted:
        if character == _OPENS:
            if piece_of[at] in closes:  # within the piece that the last mark ends
                closes.remove(piece_of[at])
            else:
                opens.add(piece_of[at])
        elif character == _CLOSES:
            closes.add(piece_of[at - 1])
        elif character != _BETWEEN:
            at += 1
    return "".join(
        (MARKS[0] if place in opens else "") + piece + (MARKS[1] if place in closes else "") for place, piece in enumerate(pieces)
    )


def _pieces(text: str) -> list[str]:
    """`text` in the smallest parts that NFKC changes one by one: a character and what composes with it."""
    pieces: list[str] = []
    for character in text:
        if pieces and (unicodedata.category(character).startswith("M") or _compose(pieces[-1], character)):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _compose(piece: str, character: str) -> bool:
    return not (piece + character).isascii() and _normal(piece + character) != _normal(piece) + _normal(character)


def _fill(index: sqlite3.Connection, corpus: Corpus) -> None:
    try:
        for table in (_TABLE, *_QUERY_TABLES):
            index.execute(table)
    except sqlite3.OperationalError as error:
        hint = "use a Python whose SQLite has FTS5, as those of python.org, Debian and conda have"
        raise ConfigError(f"this Python's SQLite cannot search: {error}", sqlite3.sqlite_version, hint) from error
    known = corpus.tables()
    for table, sql in _SOURCES.items():
        if table in known:
            index.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", _rows(corpus.query(sql)))


def _rows(rows: pa.Table) -> Iterator[tuple[str, str, str, str, str, float, float]]:
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_A_TIME):
        for row in batch.to_pylist():
            text = row["text"]
            if text is not None:
                yield _as_indexed(text), text, row["kind"], row["run_id"], row["video_key"], row["start_s"], row["end_s"]


def _found(index: sqlite3.Connection, terms: Sequence[str], limit: int) -> list[dict[str, object]]:
    """The best rows, with the words in them marked. BM25 is a sum over the terms, so that the terms can be looked for one by one."""
    each = " UNION ALL ".join(["SELECT rowid AS place, rank AS score FROM rows WHERE rows MATCH ?"] * len(terms))
    best = index.execute(
        f"SELECT place, count(*) FROM ({each}) GROUP BY place ORDER BY 2 DESC, sum(score), place LIMIT ?",  # noqa: S608 -- our own words
        (*terms, limit),
    ).fetchall()
    marked = "SELECT highlight(rows, 0, ?, ?), original, kind, run_id, video_key, start_s, end_s FROM rows WHERE rows MATCH ? AND rowid = ?"
    found = []
    for place, count in best:
        text, original, kind, run_id, video_key, start_s, end_s = index.execute(
            marked, (_OPENS, _CLOSES, " OR ".join(terms), place)
        ).fetchone()
        row = {"kind": kind, "run_id": run_id, "video_key": video_key, "start_s": start_s, "end_s": end_s}
        found.append(row | {"words": count, "text": _marked(original, text)})
    return found


def _named(corpus: Corpus, found: list[dict[str, object]]) -> pa.Table:
    """The rows with the names of their videos."""
    keys = ", ".join(sorted({quoted(str(row["video_key"])) for row in found})) or "NULL"
    videos = corpus.query(f"SELECT video_key, entry_id, input FROM videos WHERE video_key IN ({keys})").to_pylist()  # noqa: S608 -- quoted
    names = {video["video_key"]: {"entry_id": video["entry_id"], "input": video["input"]} for video in videos}
    nameless = {"entry_id": None, "input": None}
    return pa.Table.from_pylist([row | names.get(str(row["video_key"]), nameless) for row in found], HITS)
