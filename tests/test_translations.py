"""The Russian translation is whole, and what is compiled is what is written. That the files name
every string of the code is checked by .ci/run, which has GNU gettext.
"""

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "locale" / "ru" / "LC_MESSAGES"
PLACE = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w+\}")


@dataclass
class Entry:
    """One message of a .po file: its fields as they are named there, the strings joined."""

    fuzzy: bool = False
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def msgid(self) -> str:
        return self.fields["msgid"]

    @property
    def translations(self) -> list[str]:
        return [text for name, text in self.fields.items() if name.startswith("msgstr")]


def read(text: str) -> Iterator[Entry]:
    for block in re.split(r"\n\s*\n", text):
        entry, name = Entry(), ""
        for line in block.splitlines():
            if line.startswith("#"):
                entry.fuzzy |= line.startswith("#,") and "fuzzy" in line
                continue
            named, _, quoted = line.partition(" ") if not line.startswith('"') else ("", "", line)
            name = named or name
            entry.fields[name] = entry.fields.get(name, "") + ast.literal_eval(quoted)
        if entry.fields.get("msgid"):
            yield entry


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return list(read((FOLDER / "django.po").read_text()))


def test_every_string_is_translated_for_certain(entries: list[Entry]) -> None:
    assert len(entries) > 200
    assert [entry.msgid for entry in entries if not all(entry.translations)] == []
    assert [entry.msgid for entry in entries if entry.fuzzy] == []


def test_russian_has_its_three_plurals(entries: list[Entry]) -> None:
    plural = [entry for entry in entries if "msgid_plural" in entry.fields]

    assert plural
    assert [entry.msgid for entry in plural if len(entry.translations) not in {3, 4}] == []


def test_no_place_for_a_value_is_lost_or_invented(entries: list[Entry]) -> None:
    def places(text: str) -> set[str]:
        return set(PLACE.findall(text))

    strange = [
        entry.msgid
        for entry in entries
        for text in entry.translations
        # A form for one may do without the number.
        if places(text) - places(entry.msgid + entry.fields.get("msgid_plural", ""))
        or ("msgid_plural" not in entry.fields and places(text) != places(entry.msgid))
    ]
    assert strange == []


def test_the_compiled_file_is_up_to_date(entries: list[Entry]) -> None:
    with (FOLDER / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    stale = []
    for entry in entries:
        context = entry.fields.get("msgctxt")
        key = f"{context}\x04{entry.msgid}" if context else entry.msgid
        if "msgid_plural" in entry.fields:
            found = {compiled.ngettext(key, "", n) for n in range(100)}
        else:
            found = {compiled.gettext(key)}
        stale += [] if found <= set(entry.translations) else [entry.msgid]
    assert stale == []


def test_no_string_hides_from_gettext_in_an_f_string() -> None:
    """It does not look into them: such a string would stay English, and nothing else would say so."""
    hidden = [
        f"{path.relative_to(ROOT)}:{text.lineno}"
        for room in ("integrations", "mailings", "smsmail", "users")
        for path in (ROOT / room).rglob("*.py")
        for text in ast.walk(ast.parse(path.read_text()))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        if call.func.id == "_" or "gettext" in call.func.id
    ]
    assert hidden == []
