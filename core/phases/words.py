"""Contrast phase that words or a time after injection tell.

Among words, those of a phase decide before a time, a time before "late" and "delayed", and these
before "CTA": a late arterial phase is arterial, a delayed portal venous one is venous. Where the
words name two phases nothing is decided.
"""

import re
import unicodedata

from core.phases import Phase

# Written for text in lower case without accents, in which "_", "-", "." and "," are spaces.
NAMES: tuple[tuple[Phase, str], ...] = (
    ("arterial", r"\b(hepato?|spae?t|fru?e?h)?arteri(?!o)|\b(art|hap)\b|\b(a|art|ap) ?ph(ase)?\b"),
    ("arterial", r"\bpan[ck]rea\w* ?ph|\b(fase|phase) pancrea|corticomedul|動脈|动脉|动脈|早期相"),
    ("arterial", r"(胰腺|胰实质|膵実質|膵|皮质|皮髓质|皮髓)(期|相)"),
    ("venous", r"\b(?<!intra )(?<!arterio )(port(al|o)?)?ve(n|nos\w*|nous|noes\w*|ineu[sx]e?)\b"),
    ("venous", r"\bportal(e|is|phase)?\b|\bporto\b|静脉|静脈|靜脈|门脉|門脈"),
    ("venous", r"\b(pv|pvp|v) ?ph(ase)?\b|\b(pv|pvp)\b|\bvp\b(?! shunt)"),
    ("native", r"\bnativ(e|o|a|e?phase)?\b|\bplain\b|\bunenhanced\b|\bnon ?enhanced\b"),
    ("native", r"\b(non|no|pre|without|w/o|wo) ?(iv |i v )?con(t|trast)?\b|\b(vnc|ncct|nect)\b"),
    ("native", r"\bohne (i ?v )?(km|kontrast)|\bo ?km\b|\b(sans|sin) (i ?v|inj|contrast|pdc|civ)"),
    ("native", r"\bnon injecte|\bsimple\b(?!.*contrast)|平扫|平掃|单纯|単純|造影前"),
    ("native", r"(?<!\w)c-(?![\w-])"),
)
LATE = r"\b(delay(?! \d+ ?mm)|late\b|later\b|tard[iy]|retard|spae?t|verzoger|equilib|washout"
LATE += r"|gleichgewicht|excret|exkret|urogra)|\bd ph(ase)?\b|延[迟遲]|遅延|平衡|排泄|分泌|后期"
LATE += r"|晚期|晩期|後期"
ANGIOGRAPHY = r"\bcta\b|\bangio"
BOTH = r"\bw ?/? ?(and|&|\+)? ?wo\b|\bw ?/ ?w/?o\b|\bwith (and|&|or) without\b|\bmit und ohne\b"
BOTH += r"|\bavec et sans\b|\bcon y sin\b|\bsin y con\b"
SECONDS = r"(?<![\w.])(\d{2,3}) ?(?:s|sec|secs|sek|seg|seconds?|秒)(?![a-z0-9])"
MINUTES = r"(?<![\w.])(\d{1,2}) ?(?:m|min|mins|minutes?|minuten|minutos|分钟|分)(?![a-z0-9])"
AFTER_DELAY = r"\bdelay(?:ed)? (\d{2,3})\b(?! ?(?:mm|kv|hu|m))"


def phase_of_text(text: str) -> Phase | None:
    """Phase that a series description or the like names; None where it names none, or two.

    >>> phase_of_text("Abdomen spätarteriell 1.0"), phase_of_text("AP"), phase_of_text("门静脉期")
    ('arterial', None, 'venous')
    """
    words = re.sub(BOTH, " ", _plain(text))
    named: set[Phase] = {phase for phase, pattern in NAMES if re.search(pattern, words)}
    if named:
        return named.pop() if len(named) == 1 else None
    if (seconds := _seconds(words)) is not None:
        return phase_of_delay(seconds)
    if re.search(LATE, words):
        return "delayed"
    return "arterial" if re.search(ANGIOGRAPHY, words) else None


def phase_of_delay(seconds: float) -> Phase | None:
    """Phase at a time after the start of the injection; None between two phases.

    Before 15 s no contrast agent has come to the aorta; then the clock is wrong.
    """
    if 15 <= seconds < 45:
        return "arterial"
    if 55 <= seconds <= 90:
        return "venous"
    return "delayed" if seconds > 120 else None


def _plain(text: str) -> str:
    """Lower case, without accents; separators become spaces, but "C-" and "w/o" stay."""
    split = unicodedata.normalize("NFKD", text.casefold())
    bare = unicodedata.normalize("NFKC", re.sub(r"[\u0300-\u036f]", "", split))
    spaced = re.sub(r"(?<!\d)\.|\.(?!\d)|[_,;:–()\[\]]+|(?<!\bc)-", " ", bare)
    return re.sub(r"\s+", " ", spaced).strip()


def _seconds(words: str) -> float | None:
    for pattern, factor in ((SECONDS, 1), (MINUTES, 60), (AFTER_DELAY, 1)):
        if match := re.search(pattern, words):
            return factor * float(match[1])
    return None
