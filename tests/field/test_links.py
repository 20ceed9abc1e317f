"""Links and what stands around them: reports F2, F6 and F9 of the field, with their neighbours. A number is
a row of its log.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from mailings.models import Link, Mailing, Message
from mailings.text import markers, template, tokens, wrapping
from mailings.text.link_check import faulty, lines, mended
from mailings.text.tokens import Purpose
from mailings.text.wrapping import Wrapping
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

As = Callable[[User], Client]
CLICKS = Wrapping(clicks=True)
LINK = "https://school.ru/a"

# 19: AxelChat #726, linkify-it #108, thelounge #3052, anchorme #58.
PICTURES = [
    "😀",
    "👇",
    "👈",
    "❤️",
    "✅",
    "⬅️",
    "→",
    "•",
    "➡",
    "▶️",
    "👍🏽",
    "👨\u200d👩\u200d👧",
    "🇷🇺",
    "1️⃣",
    "‼️",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "★",
    "№",
]
# 18: element-web #30351, terminal-link #18, whatwg/url #151.
UNSEEN = [
    *"\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\u202a\u202c\u2066\u2069\u180e\u034f\u061c\ufe0f",
    *"\u115f\u1160\u2800\u3164\uffa0\u2063\u206a\ufe00\U000e0100\U000e0061\u17b4",
]


def urls(written: str) -> list[str]:
    return [each.url for each in wrapping.find(written)]


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("link", [LINK, "https://school.ru", "https://school.ru/?u={email}"])
def test_a_picture_behind_a_link_stays_in_the_sms(picture: str, link: str) -> None:
    wrapped = wrapping.wrap(f"Заходи: {link}{picture} и {link}{picture}{picture}, да", CLICKS)
    assert [place.url for place in wrapped.places] == [link]
    mark = markers.mark(0, Purpose.CLICK)
    assert wrapped.text == f"Заходи: {mark}{picture} и {mark}{picture}{picture}, да"


@pytest.mark.parametrize("sign", UNSEEN, ids=lambda sign: f"U+{ord(sign):04X}")
def test_a_sign_that_nobody_sees_is_no_part_of_a_link(sign: str) -> None:
    for written in (f"{LINK}{sign} да", f"{LINK}{sign}", f"{LINK}{sign}.", f"{LINK}{sign * 3}👇"):
        assert urls(written) == [LINK]
    inside = f"https://sch{sign}ool.ru/what{sign}wg/url"
    assert urls(f"см. {inside} да") == ["https://school.ru/whatwg/url"]
    assert wrapping.wrap(f"см. {inside} да", CLICKS).text == "см. \x1a0 да"
    assert wrapping.target(f"https://school.ru/what{sign}wg", {}) == "https://school.ru/whatwg"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("https://school.ru/курс", ["https://school.ru/курс"]),
        ("https://school.ru/日本/ώ", ["https://school.ru/日本/ώ"]),
        ("https://school.ru/%F0%9F%98%80", ["https://school.ru/%F0%9F%98%80"]),
        ("https://school.ru/a😀/b", ["https://school.ru/a😀/b"]),
        ("https://school.ru/a👇Ждём", [LINK]),
        ("https://school.ru/a👇https://b.ru", [LINK, "https://b.ru"]),
        ("https://school.ru/a❤️.", [LINK]),
        ("https://school.ru/a.❤️", [LINK]),
        ("https://school.ru/a\u200bЖдём", [LINK]),
        ("👉https://school.ru/a", [LINK]),
        ("https:\u200b//school.ru/a", [LINK]),
        ("https://fa.example.org/می\u200cخواهم", ["https://fa.example.org/می\u200cخواهم"]),
        # F9: emphasis, braces, quotes and bars around one.
        ("‹https://school.ru/a›", [LINK]),
        ("«https://school.ru/a»", [LINK]),
        ("（https://school.ru/a）", [LINK]),
        ("「https://school.ru/a」", [LINK]),
        ("https://school.ru/a。", [LINK]),
        ("{{https://school.ru/a}}", [LINK]),
        ("{{https://school.ru/a}}.", [LINK]),
        ("https://school.ru/{{a}}", ["https://school.ru/{{a}}"]),
        ("*https://school.ru/a*", [LINK]),
        ("**https://school.ru/a**", [LINK]),
        ("_https://school.ru/a_", [LINK]),
        ("~https://school.ru/a~", [LINK]),
        ("~~https://school.ru~~", ["https://school.ru"]),
        ("_https://school.ru_", ["https://school.ru"]),
        ("*Жми сюда: https://school.ru/a*", [LINK]),
        ("https://t.me/my_school_", ["https://t.me/my_school_"]),
        ("см. my_name https://t.me/my_school_", ["https://t.me/my_school_"]),
        ("https://school.ru/~ivan/~", ["https://school.ru/~ivan/~"]),
        ("[https://school.ru/a](https://school.ru/a)", [LINK, LINK]),
        ("[вход](https://school.ru/a)", [LINK]),
        ("https://school.ru/a|b", [LINK]),
        ("https://school.ru/a|https://b.ru/c", [LINK, "https://b.ru/c"]),
        ("https://school.ru/?u={email|x}", ["https://school.ru/?u={email|x}"]),
        # 11, 14, 16, 17: right before, and now.
        (
            "http://example.com/?id=23&utm=m&email={email}.",
            ["http://example.com/?id=23&utm=m&email={email}"],
        ),
        ("https://a.ru/?f[0]=a:2&f[1]=b:7", ["https://a.ru/?f[0]=a:2&f[1]=b:7"]),
        ("https://a.ru/?to=http://b.ru/c", ["https://a.ru/?to=http://b.ru/c"]),
        ("tel:+70000000000 sms:+70000000000 ://example.com", []),
    ],
)
def test_links_are_found_exactly(written: str, expected: list[str]) -> None:
    assert urls(written) == expected


def test_signs_around_links_break_nothing() -> None:
    signs = [*PICTURES, *UNSEEN, "*", "}}", "|", "›"]
    for one in signs:
        for other in signs:
            written = f"{one}https://school.ru/a{other}{one} {other}https://b.ru{one}"
            found = wrapping.find(written)
            assert [each.url for each in found][:1] == [LINK], ascii(written)
            for each in found:
                assert written[each.start : each.end].startswith("http")


# --- F6: where a link leads, and why it cannot work ---------------------------------------------
# What stands there, a word of the error, and the repair where only one is meant.
DEAD = [
    ("https://school.ruждём", "two alphabets", "https://school.ru ждём"),
    ("https://school.ru-ждём", "two alphabets", "https://school.ru - ждём"),
    ("https://school.ry/a", "ends in .ry", ""),
    ("https://school.example", "ends in .example", ""),
    ("https://schоol.ru/a", "two alphabets", "https://school.ru/a"),
    ("https://school.rу/a", "two alphabets", ""),
    ("https://сосо.com/a", "only look Latin", "https://coco.com/a"),
    ("https://школа.ru/a", "No site can", ""),
    ("https://shcool,ru/a", "comma", "https://shcool.ru/a"),
    ("https://my.school,ru/a", "comma", "https://my.school.ru/a"),
    ("https://school..ru/a", "two dots", "https://school.ru/a"),
    ("https://my.school..ru/a", "two dots", "https://my.school.ru/a"),
    ("https://school .ru/a", "space", "https://school.ru/a"),
    ("https://school. ru/a", "space", "https://school.ru/a"),
    ("http:///school.ru", "mistyped", "https://school.ru"),
    ("https:// school.ru/a", "mistyped", "https://school.ru/a"),
    ("https：//school.ru", "mistyped", "https://school.ru"),
    ("https:/school.ru", "mistyped", "https://school.ru"),
    ("https://https://school.ru/a", "mistyped", "https://school.ru/a"),
    ("https://http://school.ru/a", "mistyped", "http://school.ru/a"),
    ("https://school", "no ending", ""),
    ("https://школа", "no ending", ""),
    ("https://school.ru:443443/a", "no port 443443", ""),
    ("https://school.ru:0/a", "no port 0", ""),
    ("https://school.ru./a", "dot too many", "https://school.ru/a"),
    ("https://school.ru/?a=1&amp;b=2", "code of a page", "https://school.ru/?a=1&b=2"),  # 15
    ("https://school.ry/?a=1&amp;b=2", "ends in .ry", "https://school.ry/?a=1&b=2"),  # one of two
    ("https://school.ru/a%", "percent", ""),
    ("https://school.ru/100%/b", "percent", ""),
    ("https://999.1.1.1/a", "No site can", ""),
    ("https://school.ru/what\u200bwg", "nobody sees", "https://school.ru/whatwg"),
    (f"https://{'a' * 64}.ru", "No site can", ""),
    ("www,school.ru", "became no link", ""),
    ("http://", "became no link", ""),
]


@pytest.mark.parametrize(("link", "error", "right"), DEAD)
def test_a_link_that_cannot_work_says_why_and_is_repaired_where_one_is_meant(
    link: str, error: str, right: str
) -> None:
    with translation.override("en"):
        found = faulty(f"Заходи: {link} и всё")
    assert [line.written for line in found] == [link]
    assert error in " ".join(found[0].faults)
    assert found[0].right == right
    assert mended(f"Заходи: {link} и всё", link) == f"Заходи: {right or link} и всё"
    assert not right or "ends" in error or faulty(right) == []


@pytest.mark.parametrize(
    "written",
    [
        *(
            "https://school.ru",
            "https://school.ru.",
            "https://school.ru, ждём",
            "https://school.ru... да",
        ),
        *("https://school.ru.Ждём вас", "https://school.ru/a,b", "https://my-school.co.uk/a-b_c"),
        *("https://a_b.school.ru/", "https://школа.рф/курс", "https://xn--80atdl2c.xn--p1ai/"),
        *("https://school.ru/?a=%D1%8F%20b", "https://{city}.school.ru/", "https://сбер.com"),
        *("https://school.ru:8443/a", "https://user@school.ru/a", "http://127.0.0.1:8000/me/"),
        *("HTTPS://SCHOOL.RU/A", "https://日本.jp", "https://school.ru/?u={email|x}&b=1"),
        *(
            "Урок о HTTP и REST",
            "школа.рф и school.ru",
            "https://school.ru,me too",
            "https://school.ru!",
        ),
    ],
)
def test_a_link_that_may_work_is_not_spoken_ill_of(written: str) -> None:
    assert faulty(written) == []


def test_it_says_where_a_link_leads() -> None:
    found = lines("https://школа.рф/я, https://School.ru/a и https://xn--80atdl2c.xn--p1ai")
    assert [(line.to, line.decoded) for line in found] == [
        ("xn--80atdl2c.xn--p1ai", "школа.рф"),
        ("school.ru", ""),
        ("xn--80atdl2c.xn--p1ai", "школа.рф"),
    ]


def test_a_link_that_becomes_short_is_clean_already() -> None:
    assert faulty("https://school.ru/what\u200bwg", CLICKS) == []


def test_our_own_site_exists_whatever_it_is_called() -> None:
    ours = Wrapping(clicks=True, ours=frozenset({"sms.school.example"}))
    assert faulty("https://sms.school.example/me/", ours) == []
    assert faulty("https://sms.school.example/me/") != []


def test_a_repair_touches_no_longer_link() -> None:
    written = "https://shcool,ru и https://shcool,ru/a"
    assert mended(written, "https://shcool,ru") == "https://shcool.ru и https://shcool,ru/a"


def test_no_text_is_too_strange() -> None:
    for piece in (
        "https://",
        "https://a.",
        "www.",
        "http:/",
        "https://a,",
        "https://[",
        "https://a:",
    ):
        for other in (" ", ".", ",ru", "{", "}", "%", "&amp;", "\u200b", "😀", "я", "]", ":9"):
            written = (piece + other) * 3
            for line in lines(written):
                clean = template.clean(written)
                assert clean[line.start : line.end] == line.written
                mended(written, line.written)


# --- on the pages -------------------------------------------------------------------------------
@pytest.fixture
def english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


def shown(response: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


@pytest.mark.django_db
@pytest.mark.parametrize("behind", ["👇", "❤️", "\u200b", "→ да", "»"])
def test_a_short_link_leads_on_with_a_picture_behind_it(
    client: Client, manager: User, behind: str
) -> None:
    """Android takes it for a part of the address."""
    person = factories.student()
    mailing = Mailing.objects.create(
        name="Webinar", state=Mailing.State.DONE, wrap_links=True, launched_at=timezone.now()
    )
    Link.objects.create(mailing=mailing, position=0, url=LINK)
    message = Message.objects.create(
        mailing=mailing, user=person, key="1", phone=person.phone, status="delivered"
    )
    token = tokens.make(message.pk, 0, Purpose.CLICK)
    answer = client.get(f"/r/{token}{quote(behind)}")
    assert answer.status_code == 302
    assert answer["Location"] == LINK


@pytest.mark.django_db
@pytest.mark.usefixtures("english")
def test_the_composer_shows_it_in_red_and_mends_it(as_: As, manager: User) -> None:
    factories.simulator()
    client = as_(manager)
    typed = {"name": "Lesson", "text": "Go: https://shcool,ru/a", "recipients": "everyone"}
    page = client.post("/mailings/meter/", typed).content.decode()
    assert "There is a comma where a dot belongs." in page
    assert 'value="mend:https://shcool,ru/a"' in page
    fixed = client.post("/mailings/fix/", typed | {"fix": "mend:https://shcool,ru/a"})
    assert fixed.content.decode() == "Go: https://shcool.ru/a"
    page = shown(client.post("/mailings/meter/", typed | {"text": "https://школа.рф/я"}))
    assert "leads to школа.рф (xn--80atdl2c.xn--p1ai)" in page


@pytest.mark.django_db
@pytest.mark.usefixtures("english")
def test_a_launch_with_a_dead_link_asks_once_more(as_: As, manager: User) -> None:
    factories.simulator()
    factories.students(2)
    draft = mailing_factories.draft(text="Go: https://school.ry/a")
    address = reverse("mailing-launch", args=[draft.pk])
    client = as_(manager)
    page = client.get(address)
    assert "1 link cannot work" in shown(page)
    seen = {"seen": page.context["seen"]}
    refused = client.post(address, seen, follow=True)
    assert "A link cannot work." in shown(refused)
    assert Mailing.objects.get(pk=draft.pk).state == Mailing.State.DRAFT
    client.post(address, seen | {"dead_links": "anyway"})
    assert Mailing.objects.get(pk=draft.pk).state != Mailing.State.DRAFT


@pytest.mark.django_db
@pytest.mark.usefixtures("english")
def test_a_launch_with_good_links_asks_nothing_of_it(as_: As, manager: User) -> None:
    factories.simulator()
    factories.students(2)
    draft = mailing_factories.draft(text="Go: https://school.ru/a👇 https://школа.рф")
    address = reverse("mailing-launch", args=[draft.pk])
    page = as_(manager).get(address)
    assert "cannot work" not in shown(page)
    as_(manager).post(address, {"seen": page.context["seen"]})
    assert Mailing.objects.get(pk=draft.pk).state != Mailing.State.DRAFT
