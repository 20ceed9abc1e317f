"""The words of the demo school: names, cities, groups, texts. All are made up; there is no code
here.
"""

# ruff: noqa: SIM905 - lists of words are read, and changed, as sentences

from typing import NamedTuple

WOMEN = (
    "Анна Мария Елена Ольга Наталья Екатерина Ирина Татьяна Светлана Юлия Дарья Алина Виктория "
    "Полина Ксения Вера Надежда Людмила Галина Марина Софья Алёна Кристина Валерия Жанна Лилия"
).split()
MEN = (
    "Александр Дмитрий Максим Сергей Андрей Алексей Артём Илья Кирилл Михаил Никита Матвей Роман "
    "Егор Павел Денис Тимур Олег Владимир Антон Глеб Фёдор Юрий Степан"
).split()
# Surnames of men; a woman's surname adds -а.
SURNAMES = (
    "Соколов Морозов Волков Лебедев Козлов Новиков Орлов Макаров Зайцев Соловьёв Борисов Королёв "
    "Григорьев Лазарев Медведев Ершов Никитин Соболев Рябов Поляков Цветков Данилов Журавлёв "
    "Калинин Фомин Гусев Титов Кузьмин Баранов Куликов Громов Щукин Осипов Ефимов Тарасов Белов"
).split()
ENGLISH_NAMES = (
    "Emma Olivia Ava Sophia Grace Lucy Chloe Hannah Jack Harry Oliver George Noah Daniel Ethan "
    "Samuel Thomas Ruby"
).split()
ENGLISH_SURNAMES = (
    "Baker Carter Turner Hughes Foster Palmer Mason Webb Hunt Fisher Grant Barnes Wells Porter "
    "Knight Lawson"
).split()
LATIN = str.maketrans(
    dict(
        zip(
            "абвгдеёжзийклмнопрстуфхцчшщыэюя",
            "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh sch y e yu ya".split(),
            strict=True,
        )
    )
    | {"ъ": "", "ь": ""}
)

CITIES = {
    "Москва": "Europe/Moscow",
    "Санкт-Петербург": "Europe/Moscow",
    "Казань": "Europe/Moscow",
    "Самара": "Europe/Samara",
    "Екатеринбург": "Asia/Yekaterinburg",
    "Новосибирск": "Asia/Novosibirsk",
    "Иркутск": "Asia/Irkutsk",
    "Владивосток": "Asia/Vladivostok",
}
ENGLISH_CITIES = {
    "London": "Europe/London",
    "Limassol": "Asia/Nicosia",
    "Toronto": "America/Toronto",
}

# Name of a group -> share of all people who are in it.
WRITING = "Курс «Сильный текст»"
PHOTO = "Курс «Фотография на телефон»"
ENGLISH = "Английский вечером"
MARATHON = "Марафон «30 дней»"
WEBINAR = "Вебинар «Первый клиент»"
ALUMNI = "Выпускники"
GROUPS = {WRITING: 0.4, PHOTO: 0.3, ENGLISH: 0.25, MARATHON: 0.5, WEBINAR: 0.6, ALUMNI: 0.2}


class Story(NamedTuple):
    """A past mailing. If group is '', it went to everyone. HOME in the text stands for this site."""

    days_ago: int
    name: str
    group: str
    text: str
    only_confirmed: bool = False
    wrapped: bool = False  # its links count clicks, and HOME links sign in


STORIES = (
    Story(212, "Приглашение на день открытых дверей", "", "{first_name|Здравствуйте}, в субботу в 12:00 день открытых дверей школы. Вход по ссылке: https://school.example.com/open"),
    Story(189, "Старт курса «Сильный текст»", WRITING, "{first_name|Добрый день}! Курс «Сильный текст» начинается завтра в 19:00 мск. Первый урок уже в личном кабинете."),
    Story(168, "Скидка ко дню рождения школы", "", "Нам три года! До воскресенья скидка 20% на все курсы по слову ТРИГОДА. school.example.com/3"),
    Story(151, "Напоминание о вебинаре", WEBINAR, "{first_name|Здравствуйте}, через час вебинар «Первый клиент». Ждём вас: https://school.example.com/live", only_confirmed=True),
    Story(133, "Запись вебинара", WEBINAR, "{first_name|Здравствуйте}! Запись вебинара «Первый клиент» открыта до пятницы: https://school.example.com/rec", wrapped=True),
    Story(117, "Набор на «Фотографию на телефон»", "", "{first_name|Здравствуйте}, открыт набор на курс «Фотография на телефон». Мест 40. Подробности: https://school.example.com/photo"),
    Story(96, "Домашнее задание проверено", PHOTO, "{first_name|Здравствуйте}, задание 3 проверено. Комментарий преподавателя ждёт в кабинете."),
    Story(75, "Марафон: первый день", MARATHON, "Марафон начался! Задание дня 1 пришло на {email}. Сдать его можно до полуночи. Удачи, {first_name|друг}!"),
    Story(61, "English club on Friday", ENGLISH, "Hi {first_name|there}! English club this Friday at 19:30. Topic: travel. Join: https://school.example.com/club", only_confirmed=True),
    Story(47, "Опрос выпускников", ALUMNI, "{first_name|Здравствуйте}, что изменилось после курса? Три вопроса, две минуты: https://school.example.com/ask", wrapped=True),
    Story(33, "Перенос занятия", WRITING, "Занятие в четверг переносится на пятницу, 19:00 мск. Простите за неудобство. Школа"),
    Story(19, "Новое расписание", "", "{first_name|Здравствуйте}, с понедельника занятия начинаются на час позже, в 20:00 мск. Расписание: https://school.example.com/plan", wrapped=True),
    Story(5, "Последний день ранней цены", "", "{first_name|Здравствуйте}, сегодня последний день ранней цены на новые курсы. https://school.example.com/price", only_confirmed=True, wrapped=True),
)  # fmt: skip
STOPPED = Story(26, "Приглашение со старой датой", MARATHON, "{first_name|Здравствуйте}, встречаемся в эту среду в 18:00!")  # fmt: skip
DRAFT = Story(1, "Интенсив на неделю", MARATHON, "{first_name|Здравствуйте}, интенсив начинается в понедельник в 19:00 мск. Ваше место закреплено за {email}. Кабинет: HOME/me/", wrapped=True)  # fmt: skip


class DemoEvent(NamedTuple):
    """A notification that the school has added."""

    event: str
    name: str
    text: str
    values: tuple[str, ...]


PAID = DemoEvent("order_paid", "Оплата получена", "{first_name|Здравствуйте}, заказ {number} оплачен. Спасибо!", ("number",))  # fmt: skip
