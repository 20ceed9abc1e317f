"""The program of peer.py: queues and sends with django-post_office, in its favour (its bulk call, a backend that does
nothing, no logs of what was sent), and prints the cost as JSON.
"""

import json
import logging
import sys
from dataclasses import asdict
from importlib import import_module
from typing import Any

import django

from benchmarks.cost import measured
from smsmail import settings

AT_ONCE = 1000


def main() -> None:
    people = int(sys.argv[1])
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "post_office"]
    own: Any = settings
    own.POST_OFFICE = {
        "BACKENDS": {"default": "django.core.mail.backends.dummy.EmailBackend"},
        "BATCH_SIZE": AT_ONCE,
        "LOG_LEVEL": 0,
    }
    django.setup()
    logging.disable()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, skip_checks=True)
    mail = import_module("post_office.mail")
    models = import_module("post_office.models")

    def work() -> None:
        for start in range(0, people, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, people))
            mail.send_many([letter(number) for number in numbers])
        while mail.get_queued().exists():
            mail.send_queued(processes=1, log_level=0)

    cost = measured(people, work)
    sent = models.Email.objects.filter(status=models.STATUS.sent).count()
    assert sent == people, sent
    print(json.dumps(asdict(cost)))


def letter(number: int) -> dict[str, object]:
    return {
        "sender": "school@example.com",
        "recipients": [f"person{number}@example.com"],
        "subject": "Вебинар",
        "message": f"Анна! Вебинар начнётся в 19:00, ссылка придёт на person{number}@example.com.",
    }


if __name__ == "__main__":
    main()
