"""Does an SMS that somebody wrote back refuse further ones? Pure: words in, a verdict out.

A whole answer that says nothing else is a refusal and is obeyed. One that says more may be: a person
looks at it. Sentences about something else ("we have got to stop this bill") are neither.
"""

import re
import unicodedata
from enum import StrEnum
from itertools import groupby

LONGEST = 2000  # characters that are read; an SMS of 10 parts has 1,530
A_FEW = 8  # words; somebody who writes more usually writes of something else


class RefusalVerdict(StrEnum):
    """What the words mean for further SMS."""

    REFUSAL = "refusal"
    MAYBE = "maybe"  # looks like one: staff decides
    OTHER = "other"


# What Twilio and the American rule name (STOP, STOPALL, UNSUBSCRIBE, CANCEL, END, QUIT, OPTOUT, REVOKE),
# and the words of people who write Russian. "Отпишусь" and "отписал" also mean "I shall reply".
_UNSUBSCRIBE = r"unsub(?:scribe\w*)?|opt ?out|отписк[аиу]|отписать(?:ся)?|отпиши(?:те|сь|тесь)?|отписывай(?:те)?"
_STOP = r"stop(?:all|sms)?|стоп(?:смс|спам|рассылка)?|стор|ctop"
_REFUSING = re.compile(
    rf"{_UNSUBSCRIBE}|{_STOP}|quit|end|cancel|revoke|хватит|отмен(?:а|ить|ите)|отказ(?:ываюсь|аться)?"
    r"|отключи(?:те|ть)?|прекрати(?:те|ть)?"
)
# Of several words. The text has no punctuation left, and one space between words.
_PHRASES = {
    "отпишите": re.compile(
        r"\bне (?:пиш\w+|писать|присыл\w+|шл\w+|слать|отправля\w+|беспоко\w+|тревож\w+|спам\w+)"
        r"|\bне (?:хочу|желаю) (?:больше )?(?:получать|ваш\w+)"
        r"|\b(?:убер\w+|убрать|удал\w+|исключ\w+|выпиш\w+|вычеркн\w+) (?:меня|нас|мой номер|номер)\b"
        r"|\b(?:останов\w+|прекра\w+) (?:рассылк\w+|смс|sms|спам\w*)"
        r"|\b(?:do not|dont|never|no longer) (?:text|message|send|contact|write|sms|spam)\b"
        r"|\b(?:remove|delete|take) (?:me|my number)\b(?: off\b| from\b)?"
        r"(?: (?:the|your|this) (?:list|mailing\w*|database)\b)?"
        r"|\bno more (?:sms|texts?|messages?)\b|\bleave me alone\b|\bopt me out\b"
    ),
    "хватит": re.compile(r"\bне (?:надо|нада|нужно|нужны)\b|\bno more\b"),  # of anything
}
# Around a refusal these change nothing.
_POLITE = frozenset(
    re.findall(
        r"\w+",
        """please pls plz thanks thank thx ty you u now i want to would like me my number us it this these all
    sms text texts texting txt message messages messaging sending send list mailing mailings from off
    spam hi hello dear sir
    пожалуйста пожалуста плиз спасибо благодарю прошу мне меня мой моего номер нас вас от из с на для
    ваш вашей вашу ваших ваши эту этой эта этот этих это уже все всё смс сообщения сообщений сообщение
    рассылка рассылку рассылки рассылок рассылкой подписка подписку подписки спам спама бот хочу
    здравствуйте привет добрый день вечер утро больше сейчас никогда слать присылать писать писем
    нет я получать базы базу спамить""",
    )
)
_NEGATIONS = frozenset(
    {"not", "dont", "never", "cant", "cannot", "не", "ни", "нельзя", "without", "без"}
)
_SURELY_OF_SMS = re.compile(
    rf"{_UNSUBSCRIBE}|рассылк\w*|спам\w*|spam\w*|задолба\w*|достали|надоели"
)
# Letters that look alike, and the two layouts of one keyboard.
_TO_CYRILLIC = str.maketrans("abcehkmoptxy", "авсенкмортху")
_TO_LATIN = str.maketrans("авсенкмортху", "abcehkmoptxy")
_RUSSIAN_KEYS = "йцукенгшщзхъфывапролджэячсмитьбю"
_LATIN_KEYS = "qwertyuiop[]asdfghjkl;'zxcvbnm,."
_AS_RUSSIAN = str.maketrans(_LATIN_KEYS, _RUSSIAN_KEYS)
_AS_LATIN = str.maketrans(_RUSSIAN_KEYS, _LATIN_KEYS)


def verdict_of(text: str) -> RefusalVerdict:
    """What the whole answer means. Never raises."""
    words = [_as_meant(word) for word in _words(text)]
    said = " ".join(words)
    for refusing, phrase in _PHRASES.items():
        said = phrase.sub(refusing, said)
    left = [word for word in said.split() if word not in _POLITE]
    if left and all(_REFUSING.fullmatch(word) for word in left):
        return RefusalVerdict.REFUSAL
    if len(words) <= A_FEW and _may_refuse(said.split()):
        return RefusalVerdict.MAYBE
    return RefusalVerdict.OTHER


def _may_refuse(words: list[str]) -> bool:
    """ "Stop" begins or ends a refusal; in the middle it is about something else."""
    if any(_SURELY_OF_SMS.fullmatch(word) for word in words):
        return True
    if not words:
        return False
    stops = [re.fullmatch(_STOP, word) is not None for word in words]
    return stops[0] or (stops[-1] and words[-2] not in _NEGATIONS)


def _words(text: str) -> list[str]:
    """Without case, punctuation, numbers and pictures; letters written apart (S T O P) are one word."""
    plain = unicodedata.normalize("NFKC", text[:LONGEST]).casefold().replace("ё", "е")
    # Apart only by hyphens they are one word: opt-out, and nonstop things like стоп-кадр stay whole.
    plain = re.sub(r"\bopt[\W_]+out\b", "optout", plain)
    plain = re.sub(r"(?<=\w)['’`-](?=\w)", "", plain)
    found = re.findall(r"[^\W\d_]+", plain)
    words: list[str] = []
    for single, some in groupby(found, key=lambda word: len(word) == 1):
        letters = list(some)
        words += ["".join(letters)] if single and len(letters) > 2 else letters
    return words


def _as_meant(word: str) -> str:
    """The refusing word that was meant: with letters of the other alphabet, on the wrong layout, or
    with one letter held down too long. The word itself where none was.
    """
    for reading in (
        word,
        word.translate(_TO_CYRILLIC),
        word.translate(_TO_LATIN),
        word.translate(_AS_RUSSIAN),
        word.translate(_AS_LATIN),
    ):
        for spelled in (reading, re.sub(r"(.)\1+", r"\1", reading)):
            if spelled not in _POLITE and _REFUSING.fullmatch(spelled):
                return spelled
    return word
