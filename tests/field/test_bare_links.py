"""Links without a scheme or with a mistyped one: report F8 of the field, with its neighbours."""

import pytest

from mailings.text.bare_links import bare_links, repaired

# Joints of sentences, hours, numbers, products, files: nobody means a site.
NONE = [
    *("Начнём в 10.am", "9.am", "9.30.am", "10.am/pm", "в 10.pm"),
    *(
        "сегодня.Дети приходят",
        "см.Москва",
        "школа.Онлайн",
        "Завтра.Рус. язык",
        "Ждём.Сайт работает",
    ),
    *("англ.рус. словарь", "г.москва", "ул.москва", "см.онлайн", "Приходите.Дети ждут"),
    *("Call.me", "call.me", "Text.me", "Join.Me", "See you today.Me too", "I.am"),
    *("руб.com", "100 руб.ru", "№5.ru", "#5.ru", "5.com", "2.0.pro", "Версия 3.io"),
    *("ASP.NET", "VB.NET", "Paint.NET", "Socket.IO", "Open.AI", "Node.JS", "Next.js", "Vue.js"),
    *("readme.md", "README.md", "notes.md", "logo.ai", "main.cc", "file.py", "text.docx"),
    *(
        "1.2.3.4",
        "v1.2.3.4",
        "28.11.2026",
        "10.11.12.13",
        "8.800.555.35.35",
        "10.000 руб.",
        "и т.д.",
    ),
    *(
        "пишите на a@school.ru",
        "https://school.ru/a",
        "HTTP и REST",
        "протокол http: описание",
    ),
]


@pytest.mark.parametrize("written", NONE)
def test_what_only_looks_like_a_link_is_left_alone(written: str) -> None:
    assert bare_links(written) == []
    assert repaired(written) == written


@pytest.mark.parametrize(
    ("written", "link"),
    [
        *(
            (f"school.{ending}", f"school.{ending}")
            for ending in ("space", "tech", "cc", "ai", "dev", "moscow")
        ),
        *(
            (f"school.{ending}", f"school.{ending}")
            for ending in ("ru", "рф", "com", "kz", "art", "club", "blog")
        ),
        ("SCHOOL.RU", "SCHOOL.RU"),
        ("School.Ru", "School.Ru"),
        ("161.ru", "161.ru"),
        ("school.ru😀", "school.ru"),
        ("school.ru/a😀", "school.ru/a"),
        ("school.ru/a👇 да", "school.ru/a"),
        ("👉school.ru", "school.ru"),
        ("school.ru\u200b", "school.ru"),
        ("*school.ru*", "school.ru"),
        ("_school.ru_", "school.ru"),
        ("«school.ru»", "school.ru"),
        ("Сайт:school.ru", "school.ru"),
        ("www.school.online/a", "www.school.online/a"),
        ("school.ru:8080/a", "school.ru:8080/a"),
    ],
)
def test_what_is_meant_as_a_link_is_found(written: str, link: str) -> None:
    assert bare_links(written) == [link]
    assert repaired(written) == written.replace(link, f"https://{link}")


@pytest.mark.parametrize(
    "scheme",
    [
        *(
            "https:",
            "https.//",
            "https:// ",
            "https：//",
            "http//",
            "htp://",
            "https;//",
            "https ://",
        ),
        *(
            "https:\\\\",
            "https:///",
            "htttps://",
            "https//:",
            "https: //",
            "https:/",
            "https/",
            "http: ",
        ),
        *(
            "https：／／",
            "hтtps://",
            "httр://",
            "ttps://",
            "hhtps://",
            "https,//",
            "https: // ",
            "https ",
        ),
        *(
            "https://https://",
            "http://https://",
            "https//https://",
            "https:https://",
            "HTTPS//",
            "Https:/",
        ),
    ],
)
def test_a_mistyped_beginning_has_one_repair(scheme: str) -> None:
    for before in ("", "Вход ", "(", "Сайт:", "\n"):
        written = f"{before}{scheme}school.ru/a и"
        assert bare_links(written) == [f"{scheme}school.ru/a"]
        assert repaired(written) == f"{before}https://school.ru/a и"
        assert repaired(repaired(written)) == repaired(written)


@pytest.mark.parametrize(
    "link", ["127.0.0.1:8711/me/", "127.0.0.1:8711", "192.168.1.5/me", "localhost:8000/me/"]
)
def test_a_machine_by_its_number_has_no_certificate(link: str) -> None:
    assert bare_links(f"Вход: {link}, да") == [link]
    assert repaired(f"Вход: {link}, да") == f"Вход: http://{link}, да"


def test_a_sign_inside_that_nobody_sees_parts_no_name() -> None:
    assert repaired("Вход: sch\u200bool.ru/a") == "Вход: https://sch\u200bool.ru/a"
