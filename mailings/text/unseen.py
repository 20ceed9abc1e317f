"""Classes of characters by what the eye sees: pictures and symbols, which no URL contains
unencoded, and invisible characters. Pure functions.
"""

import re

# One picture: a flag, or characters joined into one, with skin tones and other modifiers.
PAINT = "[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
_SHAPES = "\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\U0001f000-\U0001faff"
_SHAPE = f"[{_SHAPES}]{PAINT}"
KEYCAP = "[0-9#*]\ufe0f?\u20e3"
PICTURE = f"[\U0001f1e6-\U0001f1ff]{{2}}|{KEYCAP}|{_SHAPE}(?:\u200d{_SHAPE})*"

# Pictures and other symbols: arrows, bullets, boxes, signs that stand for a word. For use inside
# [...] of a pattern.
SYMBOLS = (
    f"{_SHAPES}\u2022\u2023\u203b-\u203d\u2043\u2047-\u2049\u204c\u204d\u2200-\u22ff\u27c0-\u28ff"
    "\u2980-\u2aff\u00a9\u00ae\u00b0\u2100-\u2101\u2103-\u2109\u2116\u2117\u2120-\u2122\u2139"
    "\u303d\u3297\u3299\u3200-\u33ff\ufffc\ufffd\U0001fb00-\U0001fbff"
)

# Characters without a shape of their own: direction and break marks, selectors, and blank letters.
# Private use code points are not among them, because some font may show them.
UNSEEN = (
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
# In some scripts the two joiners are part of the spelling, so they stay between letters of these.
_SPELLING = "(?<=[\u0590-\u0fff])[\u200c\u200d](?=[\u0590-\u0fff])"
_UNSEEN = re.compile(f"{_SPELLING}|{PICTURE}|(?P<unseen>[{UNSEEN}])")


def places(written: str) -> list[int]:
    """Return the indexes of the invisible characters that are part of no picture and no word."""
    return [each.start() for each in _UNSEEN.finditer(written) if each["unseen"]]


def without(written: str) -> str:
    return _UNSEEN.sub(lambda each: "" if each["unseen"] else each[0], written)
