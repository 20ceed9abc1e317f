"""Made-up clicks on the links of the demo school's mailings. This writes only the rows; recount
adds them up.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

from mailings.models import Click, Mailing, Message
from mailings.tracking import classify, link_rows

AGENTS = {
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/17.4 Mobile/15E148 Safari/604.1": 40,
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0"
    " Mobile Safari/537.36": 50,
    "TelegramBot (like TwitterBot)": 5,
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)": 5,
}


class DemoClick(NamedTuple):
    message: Message
    at: datetime
    agent: str


def clicks(mailing: Mailing, messages: Sequence[Message], dice: random.Random) -> list[DemoClick]:
    """Make up clicks: a quarter of the recipients click, most within the hour, and some click
    again.
    """
    if not mailing.wrapping:
        return []
    made = []
    for message in messages:
        if message.status != Message.Status.DELIVERED or dice.random() > 0.27:
            continue
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            after = timedelta(minutes=dice.lognormvariate(3.4, 1.5))
            at = min((message.final_at or timezone.now()) + after, timezone.now())
            (agent,) = dice.choices(list(AGENTS), list(AGENTS.values()))
            made.append(DemoClick(message, at, agent))
            if classify.kind_of("GET", agent, "") == Click.Kind.PERSON:
                message.first_click_at = min(at, message.first_click_at or at)
    return made


def write_down(mailing: Mailing, made: Sequence[DemoClick]) -> None:
    link_rows.write_down(mailing)
    Click.objects.bulk_create(
        Click(
            message_id=each.message.pk,
            mailing=mailing,
            position=0,
            at=each.at,
            kind=classify.kind_of("GET", each.agent, ""),
            method="GET",
            user_agent=each.agent,
            processed_at=each.at,
        )
        for each in made
    )
