"""Words and phrases that ask the viewer to do something, by language, and how they are found in a text."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PHRASES: Mapping[str, tuple[str, ...]] = {
    "en": (
        "buy", "shop", "click", "link in bio", "link in my bio", "link in the bio", "link below", "link in the description", "follow",
        "subscribe", "comment", "share", "order now", "order yours", "sign up", "tap", "swipe up", "join now", "download now",
        "learn more", "dm me", "send me a dm",
    ),
    "de": (
        "abonnieren", "abonniere", "abonniert", "folge mir", "folgt mir", "folge uns", "folgt uns", "jetzt folgen", "kommentiere",
        "schreib's in die kommentare", "schreib in die kommentare", "schreibt in die kommentare", "schreibt mir in die kommentare",
        "schreib mir in die kommentare", "schreib es in die kommentare", "teile das video", "teilt das video", "teile diesen",
        "jetzt kaufen", "jetzt shoppen", "jetzt bestellen", "jetzt zugreifen", "kaufen sie", "klick auf", "klicke auf", "klickt auf",
        "klicken sie", "hier klicken", "klick den link", "tippe auf", "tippt auf", "link in bio", "link in der bio", "link in meiner bio",
        "link unten", "link in der beschreibung", "jetzt anmelden", "melde dich an", "meldet euch an", "lass ein like da",
        "lasst ein like da", "jetzt herunterladen",
    ),
    "fr": (
        "abonne-toi", "abonnez-vous", "suis-moi", "suivez-moi", "suivez-nous", "suis-nous", "clique sur", "clique ici", "cliquez",
        "achetez", "achète maintenant", "acheter maintenant", "commandez", "commande maintenant", "commander maintenant", "lien en bio",
        "lien dans la bio", "lien dans ma bio", "lien en description", "lien dans la description", "lien ci-dessous", "partagez",
        "partage cette", "partage la vidéo", "commentez", "inscris-toi", "inscrivez-vous", "en commentaire", "laisse un commentaire",
        "laissez un commentaire", "téléchargez", "profitez-en",
    ),
    "es": (
        "suscríbete", "suscríbanse", "suscribíos", "sígueme", "síguenos", "síganme", "seguime", "compra ahora", "compra ya",
        "compra aquí", "cómpralo", "haz clic", "haz click", "da clic", "haga clic", "pulsa aquí", "pulsa en", "toca aquí",
        "toca el enlace", "enlace en la bio", "enlace en bio", "enlace en mi bio", "link en la bio", "link en bio", "link en mi bio",
        "enlace abajo", "link abajo", "enlace en la descripción", "link en la descripción", "comparte este", "comparte el video",
        "comparte el vídeo", "comparte con", "comenta abajo", "comenta aquí", "coméntame", "déjame un comentario", "deja tu comentario",
        "deja un comentario", "en los comentarios", "regístrate", "inscríbete", "pide ya", "pide el tuyo", "ordena ahora", "dale like",
        "dale me gusta", "descarga ya", "descarga ahora",
    ),
    "pt": (
        "inscreva-se", "se inscreva", "se inscreve", "inscreve-te", "subscreve", "me siga", "siga-me", "segue-me", "me segue",
        "siga a gente", "siga-nos", "siga o perfil", "segue o perfil", "compre agora", "compre já", "compre aqui", "compra já",
        "clique aqui", "clique no", "clique em", "clique na", "clica no", "clica aqui", "clica em", "toque aqui", "toque no",
        "link na bio", "link da bio", "link na descrição", "link abaixo", "compartilhe", "compartilha com", "compartilha esse",
        "partilha com", "partilha este", "comente", "comenta aqui", "comenta aí", "deixe seu comentário", "deixa seu comentário",
        "nos comentários", "deixe o like", "deixa o like", "deixe seu like", "deixa seu like", "curta o vídeo", "curte o vídeo",
        "cadastre-se", "peça já", "peça agora", "baixe agora",
    ),
    "ru": (
        "подпишись", "подпишитесь", "подписывайся", "подписывайтесь", "подписаться", "купи", "купите", "купить сейчас", "закажи",
        "закажите", "заказать сейчас", "жми", "жмите", "нажми", "нажмите", "кликай", "кликни", "кликните", "переходи по ссылке",
        "переходите по ссылке", "ссылка в био", "ссылка в шапке", "ссылка в описании", "ссылка внизу", "ссылка в профиле", "поделись",
        "поделитесь", "комментируй", "комментируйте", "в комментариях", "пиши в комменты", "пишите в комменты", "ставь лайк",
        "ставьте лайк", "зарегистрируйся", "зарегистрируйтесь", "регистрируйся", "регистрируйтесь", "скачай", "скачайте",
    ),
    "ja": (
        "フォローして", "フォローお願い", "フォローよろしく", "フォローミー", "フォローはこちら", "チャンネル登録", "登録お願い",
        "登録してね", "登録して下さい", "登録してください", "今すぐ購入", "購入はこちら", "ご購入ください", "今すぐ注文",
        "ご注文はこちら", "ご注文ください", "今すぐクリック", "クリックして", "ここをクリック", "タップして", "今すぐタップ",
        "ここをタップ", "リンクはプロフィール", "プロフィールのリンク", "プロフのリンク", "リンクは概要欄", "概要欄のリンク",
        "概要欄から", "コメントして", "コメントお願い", "コメント待ってます", "コメントください", "シェアして", "いいねして",
        "いいねお願い", "いいねと", "高評価お願い", "今すぐダウンロード", "今すぐ登録",
    ),
    "ko": (
        "구독하세요", "구독해 주세요", "구독해요", "구독 부탁", "구독 눌러", "구독과 좋아요", "구독 좋아요", "구독 버튼", "팔로우하세요",
        "팔로우해 주세요", "팔로우해요", "팔로우 부탁", "좋아요 눌러", "좋아요 부탁", "좋아요와 구독", "댓글 남겨", "댓글 달아",
        "댓글로 알려", "공유하세요", "공유해 주세요", "공유 부탁", "클릭하세요", "클릭해 주세요", "클릭해요", "지금 클릭", "링크 클릭",
        "지금 구매", "구매하세요", "바로 구매", "지금 주문", "주문하세요", "프로필 링크", "링크는 프로필", "눌러 주세요", "가입하세요",
        "신청하세요", "다운로드하세요",
    ),
    "zh": (
        "点击链接", "点击下方", "点击这里", "点击购买", "点击主页", "关注我", "点关注", "加关注", "点个关注", "求关注", "记得关注",
        "关注一下", "订阅我", "点击订阅", "记得订阅", "请订阅", "订阅频道", "订阅一下", "立即购买", "马上购买", "赶快购买", "赶紧下单",
        "立即下单", "马上下单", "快下单", "购买链接", "点个赞", "点赞关注", "点赞收藏", "点赞评论", "记得点赞", "双击屏幕", "评论区留言",
        "评论区告诉", "在评论区", "留言告诉", "分享给", "转发给", "简介链接", "链接在简介", "主页链接", "链接在主页", "链接在评论",
        "戳链接", "扫码", "立即注册", "立即下载", "點擊連結", "點擊下方", "追蹤我", "關注我", "訂閱我", "訂閱頻道", "記得訂閱", "請訂閱",
        "按讚", "按個讚", "留言告訴", "連結在簡介", "連結在首頁", "立即購買", "馬上購買", "馬上下單", "立即下單", "立即下載",
    ),
}  # fmt: skip
"""By ISO 639-1 language: what a viewer is asked for in short videos. Words that have everyday meanings beside stand with those around them
that make a request of them; `follow` and the other single words of English are those of the system before."""
EVERY_PHRASE = tuple(dict.fromkeys(phrase for phrases in PHRASES.values() for phrase in phrases))

_HAN, _KANA, _HANGUL = "\u3400-\u4dbf\u4e00-\u9fff々", "\u30a1-\u30faー", "\uac00-\ud7a3"
_UNSPACED = re.compile(f"[{_HAN}\u3041-\u3096{_KANA}{_HANGUL}]")
"""Letters of scripts that put no space between words, or attach endings to them."""
_BETWEEN_WORDS = r"[\W_]+"
_NO_LETTER_BEFORE, _NO_LETTER_AFTER = r"(?<!\w)(?<!\w['’])", r"(?!['’]?\w)"


def folded(text: str) -> str:
    """A text in lower case, full-width letters made plain, without the accents of Latin letters, which capitals often lack."""
    letters = []
    for letter in unicodedata.normalize("NFKC", text).casefold().replace("ё", "е"):
        base = unicodedata.normalize("NFD", letter)[0]
        letters.append(base if base.isascii() else letter)
    return "".join(letters)


def called_for(text: str, phrases: Sequence[str]) -> Iterator[str]:
    """Those of the phrases that stand in a text.

    A phrase of letters that are written with spaces stands as whole words: `together` does not hold `get`. A phrase in Japanese or Chinese
    may stand inside a sentence, but a Japanese word in Katakana or Han letters does not go on: `フォロー` is not in `フォローアップ`. A
    Korean phrase begins a word and may have an ending.
    """
    looked_in = folded(text)
    for phrase in phrases:
        pattern = _pattern(phrase)
        if pattern is not None and pattern.search(looked_in):
            yield phrase


def calls_to_action(text: str, phrases: Sequence[str]) -> bool:
    """Whether any of the phrases stands in the text."""
    return next(called_for(text, phrases), None) is not None


def joined_words(words: Sequence[str]) -> str:
    """Words in one line. Nothing is put between letters of scripts without spaces."""
    line = ""
    for word in words:
        close = line and word and _UNSPACED.match(line[-1]) and _UNSPACED.match(word[0]) and not _is_hangul(word[0])
        line += word if close or not line else f" {word}"
    return line


@lru_cache(maxsize=4096)
def _pattern(phrase: str) -> re.Pattern[str] | None:
    """None of a phrase without letters."""
    parts = re.findall(r"\w+", folded(phrase))
    if not parts:
        return None
    first, last = parts[0][0], parts[-1][-1]
    before = _edge(first, before=True)
    after = _edge(last, before=False)
    if re.match(f"[{_HAN}]", last) and re.search(f"[\u3041-\u3096{_KANA}]", "".join(parts)):
        after = f"(?![{_HAN}])"  # in Japanese a word goes on with the next Han letter; Chinese has nothing to tell words apart by
    between = r"\W*" if _UNSPACED.match(first) else _BETWEEN_WORDS
    return re.compile(before + between.join(map(re.escape, parts)) + after)


def _edge(letter: str, *, before: bool) -> str:
    """What may not stand next to the first or last letter of a phrase."""
    if _is_hangul(letter):
        return f"(?<![{_HANGUL}])" if before else ""
    if re.match(f"[{_KANA}]", letter):
        return f"(?<![{_KANA}])" if before else f"(?![{_KANA}])"
    if _UNSPACED.match(letter):
        return ""
    return _NO_LETTER_BEFORE if before else _NO_LETTER_AFTER


def _is_hangul(letter: str) -> bool:
    return re.match(f"[{_HANGUL}]", letter) is not None
