"""Decides whether an SMS that somebody replied refuses further messages. Pure: takes a text, returns a
verdict.

A reply that says nothing else is a refusal and is obeyed. A reply that says more may be one: staff look at
it. Sentences about something else ("we have got to stop this bill") are neither.
"""

import re
import unicodedata
from enum import StrEnum
from itertools import groupby

LONGEST = 2000  # characters that are read; an SMS of 10 parts has 1,530
A_FEW = 8  # words; people who write more usually write about something else


class RefusalVerdict(StrEnum):
    """What a reply means for further SMS."""

    REFUSAL = "refusal"
    MAYBE = "maybe"  # looks like a refusal: staff decide
    OTHER = "other"


# The words that Twilio and the American rule name (STOP, STOPALL, UNSUBSCRIBE, CANCEL, END, QUIT, OPTOUT,
# REVOKE), and those of people who write Russian. "Отпишусь" and "отписал" also mean "I shall reply".
_UNSUBSCRIBE = r"unsub(?:scribe\w*)?|opt ?out|отписк[аиу]|отписать(?:ся)?|отпиши(?:те|сь|тесь)?|отписывай(?:те)?"
_STOP = r"stop(?:all|sms)?|стоп(?:смс|спам|рассылка)?|стор|ctop"
_REFUSING = re.compile(
    rf"{_UNSUBSCRIBE}|{_STOP}|quit|end|cancel|revoke|хватит|отмен(?:а|ить|ите)|отказ(?:ываюсь|аться)?"
    r"|отключи(?:те|ть)?|прекрати(?:те|ть)?"
)
# Refusals of several words. The text has no punctuation left, and one space between words.
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
    "хватит": re.compile(r"\bне (?:надо|нада|нужно|нужны)\b|\bno more\b"),  # whatever is not wanted
}
# These words do not change the meaning of a refusal.
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
# Letters that look alike in both alphabets, and the two layouts of one keyboard.
_TO_CYRILLIC = str.maketrans("abcehkmoptxy", "авсенкмортху")
_TO_LATIN = str.maketrans("авсенкмортху", "abcehkmoptxy")
_RUSSIAN_KEYS = "йцукенгшщзхъфывапролджэячсмитьбю"
_LATIN_KEYS = "qwertyuiop[]asdfghjkl;'zxcvbnm,."
_AS_RUSSIAN = str.maketrans(_LATIN_KEYS, _RUSSIAN_KEYS)
_AS_LATIN = str.maketrans(_RUSSIAN_KEYS, _LATIN_KEYS)


def verdict_of(text: str) -> RefusalVerdict:
    """Return what the whole reply means. Never raises."""
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
    """True if a word is surely about SMS, or if "stop" begins or ends the text: in the middle it is
    about something else.
    """
    if any(_SURELY_OF_SMS.fullmatch(word) for word in words):
        return True
    if not words:
        return False
    stops = [re.fullmatch(_STOP, word) is not None for word in words]
    return stops[0] or (stops[-1] and words[-2] not in _NEGATIONS)


def _words(text: str) -> list[str]:
    """Split into words without case, punctuation, numbers and pictures; spaced-out letters (S T O P)
    become one word.
    """
    plain = unicodedata.normalize("NFKC", text[:LONGEST]).casefold().replace("ё", "е")
    # Hyphens join words below: стоп-кадр is one word and holds no "стоп". "Opt out" becomes one too.
    plain = re.sub(r"\bopt[\W_]+out\b", "optout", plain)
    plain = re.sub(r"(?<=\w)['’`-](?=\w)", "", plain)
    found = re.findall(r"[^\W\d_]+", plain)
    words: list[str] = []
    for single, some in groupby(found, key=lambda word: len(word) == 1):
        letters = list(some)
        words += ["".join(letters)] if single and len(letters) > 2 else letters
    return words


def _as_meant(word: str) -> str:
    """Return the refusing word that was meant: typed with look-alike letters of the other alphabet,
    on the wrong keyboard layout, or with a letter held down too long. Otherwise return the word
    itself.
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
