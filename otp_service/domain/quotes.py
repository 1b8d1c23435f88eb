"""Taking off what a reply quotes: our own texts, reactions ("Liked “…”"), quoted mail, signatures.

Our text says "Reply STOP to opt out", so a word inside a quote of it says nothing about the person's wish.
"""

import re
import unicodedata

from . import phrases
from .message_templates import Skeleton, skeletons

MARK = "\ue000"
"""Stands where a quote was taken out (a private-use character, which `clean` removes from what people write)."""

_OPEN, _CLOSE = "[\"'“”„‟«‹‘‚]", "[\"'“”«»›’‘]"
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u3164\uffa0\ufe00-\ufe0f\ufff9-\ufffc]")


def clean(text: str) -> str:
    """The text without invisible characters (zero width, soft hyphen, directions), in compatibility form (NFKC)."""
    lines = re.sub("\r\n?|[\v\f\x85\u2028\u2029]", "\n", text)
    seen = "".join(c for c in lines if c == "\n" or unicodedata.category(c) not in ("Cf", "Co", "Cs", "Cn"))
    folded = unicodedata.normalize("NFKC", _INVISIBLE.sub("", seen))
    return "".join(" " if unicodedata.category(c) == "Cc" and c != "\n" else c for c in folded)


def without_quotes(text: str) -> str:
    """A cleaned text in which each quote is a `MARK`, and that ends before its signature."""
    # The patterns are texts: to compile them takes a tenth of the start of a process, and few ever read a reply.
    text = re.sub(r"(?m)^[ ]*>.*$", MARK, text)
    text = re.sub(_OURS, _mark, text)
    # Some programs mark only the first line of what they quote, and the autofill line stands two lines below.
    text = re.sub(_LEFT_OVER, _mark, text)
    text = re.sub(_SENTENCES, MARK, text)
    text = re.sub(_REACTION, MARK, text)
    text = re.sub(_MAIL_HEADER, MARK, text)
    text = re.sub(r"(?ms)^-- ?$.*", "", text)
    return re.sub(_SENT_FROM, "", text)


def before_mail(text: str) -> str:
    """What stands above a quoted mail, whatever the mail says."""
    found = re.search(_MAIL_HEADER, text)
    return text[: found.start()] if found else text


def _flexible(sentence: str) -> str:
    # A mail program may have broken the line at any blank.
    return r"\s+".join(re.escape(word) for word in unicodedata.normalize("NFKC", sentence).split())


def _cut_short(sentence: str) -> str:
    """Matches the beginning of a sentence where the quote ends with it, as in “… Reply ST…”."""
    beginnings = (re.escape(sentence[:length].rstrip()) for length in range(len(sentence), 0, -1))
    return rf"(?:{'|'.join(beginnings)})(?=[ ]*(?:\.\.\.|{_CLOSE}|$))"


def _ours(skeleton: Skeleton) -> str:
    caution, deny, stop = _flexible(skeleton.caution), _flexible(skeleton.deny), _flexible(skeleton.stop)
    end = rf"[ ]+{_cut_short(skeleton.deny)}|(?:\s+{deny})?(?:\s+{stop}|[ ]+{_cut_short(skeleton.stop)})?"
    whole = rf"(?:(?!\n[ ]*\n)[\s\S])*?{caution}(?:{end})"
    return rf"{_flexible(skeleton.opening)}\s+(?:{whole}|[^\n]*)"


_HASH = r"(?P<hash>[A-Za-z0-9+/]{11})(?![A-Za-z0-9+/])"
_LEFT_OVER = rf"(?m){MARK}\s*\n\s*(?:@\S+[ ]+#[0-9]{{4,10}}|{_HASH})[ ]*$"
_TAIL = rf"(?:\s+@\S+[ ]+#[0-9]{{4,10}}|\s*\n\s*{_HASH})?"
_OURS = rf"(?m)(?<![0-9])[0-9]{{4,10}}\s+(?:{'|'.join(_ours(skeleton) for skeleton in skeletons())}){_TAIL}"
_SENTENCES = "|".join(_flexible(sentence) for skeleton in skeletons() for sentence in (skeleton.deny, skeleton.stop))


def _mark(found: re.Match[str]) -> str:
    # Eleven characters alone in a line are the app's hash, or the word UNSUBSCRIBE.
    tail = found["hash"] or ""
    return f"{MARK}\n{tail}" if phrases.pattern((*phrases.STOP, *phrases.START)).fullmatch(tail.casefold()) else MARK


# What phones send in place of a reaction to people who cannot see it (iOS, Google Messages), by language.
_REACTED = "|".join(
    (
        r"(?:Liked|Loved|Disliked|Laughed at|Emphasi[sz]ed|Questioned)",
        r"Reacted (?:with )?(?:a |an )?\S.{0,30}? to|Removed (?:a |an )?\S.{0,30}? from|[^\w\s]{1,12} to",
        r"(?:Gefällt(?: mir)?|Gefällt(?: mir)? nicht|Mag|Liebt|Hat|Fand|Lacht über|Hat gelacht über|Betont|"
        r"Hervorgehoben|Hinterfragt|Fragt)",
        r"(?:Mit|Hat mit)? ?\S.{0,30}? (?:reagiert )?auf|\S.{0,60}? entfernt (?:von|aus)",
        r"(?:A |N'a pas |J'ai |Je n'ai pas )?(?:adoré|aimé|ri (?:de|à)|mis l'accent sur|insisté sur|questionné|"
        r"remis en question|réagi (?:avec|par) \S.{0,30}? à)",
        r"(?:A )?(?:supprimé|retiré) \S.{0,40}? de|[^\w\s]{1,12} à",
        r"(?:Le |Me |No le |No me )?(?:gust[aóoé]|encant[aóoé]|dio risa|hizo gracia)|(?:Se )?(?:rió|rio) de|Enfatizó|"
        r"Resaltó|Destacó|Cuestionó|Preguntó por|Reaccionó (?:con )?\S.{0,30}? a|(?:Eliminó|Quitó) \S.{0,40}? de|"
        r"[^\w\s]{1,12} a",
        r"(?:Ha messo|Mi piace|Non mi piace|Ha adorato|Adorato|Ha riso (?:per|di)|Ha enfatizzato|Enfatizzato|"
        r"Ha evidenziato|Ha dubitato di|Ha chiesto|Ha reagito (?:con )?\S.{0,30}? a|Ha rimosso \S.{0,40}? da)",
        r"(?:Curtiu|Gostou de|Amou|Adorou|Não gostou de|Riu de|Enfatizou|Questionou|Reagiu (?:com )?\S.{0,30}? a|"
        r"Removeu \S.{0,40}? de)",
    )
)
_REACTION = rf"(?ims)^[ ]*(?:{_REACTED})[ ]+{_OPEN}[ ]*[^\n].*?{_CLOSE}[^\n\w]*?(?:\w+[ ]?){{0,4}}[ .!]*$"

_MAIL_HEADER = (
    r"(?im)^[ ]*(?:-{2,}[ ]*(?:original message|forwarded message|ursprüngliche nachricht|originalnachricht|"
    r"message d'origine|message original|mensaje original|messaggio originale|mensagem original)[ ]*-{2,}[ ]*$"
    r"|(?:on|am|le|el|il|em)\b[^\n]{0,200}\n?[^\n]{0,200}"
    r"(?:wrote|schrieb[^\n]{0,80}|a écrit|escribió|ha scritto|escreveu)[ ]?:[ ]*$"
    r"|(?:from|von|de|da)[ ]?:[^\n]*\n(?:[ ]*(?:to|sent|date|subject|cc|an|gesendet|datum|betreff|envoyé|à|objet|"
    r"enviado|para|asunto|fecha|inviato|a|oggetto|data)[ ]?:[^\n]*(?:\n|$))+)"
)

_DEVICE = (
    r"(?:iphone|ipad|ipod|galaxy|samsung|android|pixel|mobile|handy|smartphone|phone|telephone|téléphone|telefono|"
    r"blackberry|huawei|xiaomi|motorola|nokia|outlook|gmail|yahoo|mail|windows|proton|gmx|web\.de|telekom|t-mobile)"
)
_SENTENCE = (
    r"(?:(?:this message was|diese nachricht wurde|ce message a été|este mensaje (?:fue|ha sido)"
    r"|questo messaggio è stato|"
    r"esta mensagem foi)[ ])?"
)
_SENT_FROM = (
    rf"(?im)\b{_SENTENCE}(?:sent|get) (?:from|via|using|with|outlook)\b[^\n]{{0,40}}?{_DEVICE}[^\n]{{0,40}}$"
    rf"|\b{_SENTENCE}(?:von meinem|von meiner|mit der"
    rf"|mit dem)\b[^\n]{{0,40}}?{_DEVICE}[^\n]{{0,20}}?gesendet[^\n]{{0,10}}$"
    rf"|\b{_SENTENCE}gesendet (?:von|mit)\b[^\n]{{0,40}}?{_DEVICE}[^\n]{{0,40}}$"
    rf"|\b{_SENTENCE}envoyé (?:de|depuis|à partir de|avec)\b[^\n]{{0,40}}?{_DEVICE}[^\n]{{0,40}}$"
    rf"|\b{_SENTENCE}enviad[oa] (?:desde|de|do|con|com|a partir)\b[^\n]{{0,40}}?{_DEVICE}[^\n]{{0,40}}$"
    rf"|\b{_SENTENCE}inviato (?:da|dal|con|tramite)\b[^\n]{{0,40}}?{_DEVICE}[^\n]{{0,40}}$"
    r"|^(?:get|obtenir|obtenez|obtener|obtén|ottieni|obter|scarica|téléchargez|télécharger|descargar|baixar"
    r"|holen sie sich|"
    r"hol dir|laden sie)[ ]outlook[ ](?:for|pour|para|per|für)[ ][^\n]{1,40}$"
    r"|^outlook für [^\n]{1,20} (?:herunterladen|holen)$"
)
