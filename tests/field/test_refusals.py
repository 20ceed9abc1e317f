"""Refusals in people's own words, and what must not be taken for one.

Sources: Rock #6399 and VA notification-api #313 (the words that Twilio and the American rule name),
learning-circles #593 and #372 (politeness around the word), Spoke #1016 (a sentence with STOP in it), and
what Russian speakers write.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests import factories
from users.consent import replies
from users.models import OptOut, User
from users.parsing.refusals import RefusalVerdict, verdict_of

REFUSALS = """
стоп
СТОП!
«Стоп».
Отписка
отпишите меня
STOP
Stop.
stop  all
unsubscribe
Opt-out
opt out
QUIT
END
CANCEL
REVOKE
OPTOUT
STOPALL
Stop. Thank you
stop please
Стоп, спасибо
STOP STOP STOP
S T O P
С Т О П
стоп 1
1 стоп
отпиши
отпишись
отписать
отпиши меня
Отпишите меня, пожалуйста
стоп рассылка
СТОП СПАМ
хватит
отмена
отказ
больше не пишите
не надо
уберите меня из рассылки
CTOП
Cтоп
CTOP
CNJG
ыещз
стооп
stopp
стопп
Stop texting me
please stop sending me messages
remove me from your list
do not text me
Don't text me
no more texts
не присылайте мне больше смс
не пишите мне больше
удалите мой номер
удалите меня из базы
хочу отписаться
прошу отписать меня от рассылки
Здравствуйте, отпишите меня от рассылки
прекратите рассылку
остановите рассылку
отключите смс
отключите рассылку пожалуйста
стоп!!!
СТОП СМС
stop 👍
🛑 STOP
стоп стоп
не шлите мне спам
не беспокойте меня
больше не надо
я отказываюсь
отказываюсь от рассылки
отказ от рассылки
unsub
unsubscribe me please
ｓｔｏｐ
STOP.
Stop, pls!
Стоп)
отписаться
jngbcfnmcz
leave me alone
не надо мне писать
никогда больше не пишите мне
Stop all messages
quit please
cancel thanks
end
ОТПИСАТЬСЯ ОТ РАССЫЛКИ
не хочу получать рассылку
не хочу получать ваши сообщения
stop it
I want to stop
отпишите
Отпишите!!!
хватит спамить
хватит писать
Хватит уже
отмените подписку
отменить рассылку
"""
MAYBE = """
как отписаться?
не могу отписаться
стоп, я не подписывался на это
пришлите как отписаться от рассылки
не пишите, я сам позвоню
Stop! wrong number
это спам
спам
задолбали своими смс
"""
OTHER = """
we have got to STOP this bill
не стоп
nonstop
да
...
нет
нет, спасибо
Ок
когда начало?
Отмена занятия?
не могу прийти
не надо переносить занятие
cancel my order
отмените мой заказ
остановка рядом
стоп-кадр классный
bus stop is near
Don't stop
не останавливайтесь
Спасибо, отпишусь позже
Конец
стопка книг
Can I cancel tomorrow's lesson?
I will quit my job
end of the lesson
хватит ли мест
хватит места на двоих?
топ
мне 5 лет
Напишите мне
Пишите ещё
перестаньте опаздывать
отказано в доступе
описание курса
отписал вам в личку
не надо больше звонить
The end
STOPPAGE
обстоятельства
"""


def lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


@pytest.mark.parametrize("text", lines(REFUSALS))
def test_a_refusal_is_understood(text: str) -> None:
    assert verdict_of(text) == RefusalVerdict.REFUSAL


@pytest.mark.parametrize("text", lines(MAYBE))
def test_what_may_be_one_is_for_a_person_to_judge(text: str) -> None:
    assert verdict_of(text) == RefusalVerdict.MAYBE


@pytest.mark.parametrize("text", ["", " ", "1", *lines(OTHER)])
def test_what_speaks_of_something_else_is_none(text: str) -> None:
    assert verdict_of(text) == RefusalVerdict.OTHER


@pytest.mark.parametrize("sign", ["stop", "s t", "стоп ", "не ", "\ud83d", "ё", "opt-", "a'"])
def test_any_text_has_a_verdict(sign: str) -> None:
    assert verdict_of(sign * 3000) in RefusalVerdict


@pytest.mark.django_db
def test_one_that_may_refuse_is_shown_with_a_button(
    as_: Callable[[User], Client], manager: User, settings: Any
) -> None:
    settings.LANGUAGE_CODE = "en"
    anna = factories.person("anna", phone="+79980000007")
    at = anna.date_joined
    replies.keep([replies.Written("1", anna.phone, "как отписаться?", at, "smsc")])
    assert not OptOut.objects.exists()
    client = as_(manager)
    page = client.get(f"/people/{anna.pk}/").content.decode()
    assert "Looks like a refusal" in page
    assert "No more SMS to this person" in page
    client.post(f"/people/{anna.pk}/forbid/")
    anna.refresh_from_db()
    assert anna.sms_forbidden
    assert "No more SMS to this person" not in client.get(f"/people/{anna.pk}/").content.decode()
