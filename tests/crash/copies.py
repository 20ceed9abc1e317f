"""Run in a process of its own against the stage's database: `python -m tests.crash.copies look` tells how
a restored copy is held, `... decide CHOICE` is the owner's word about every mailing under way.
"""

import json
import sys
from typing import Any

import django


def main() -> None:
    django.setup()
    if sys.argv[1] == "decide":
        decide(sys.argv[2])
    print(json.dumps(look()))  # noqa: T201 - whoever started us reads it


def look() -> dict[str, Any]:
    from mailings.models import Epoch, Restoration
    from mailings.restoration import decision

    held = Epoch.objects.filter(held=True).exists()
    restoration = Restoration.objects.order_by("-id").first()
    if restoration is None:
        return {"held": held, "asked": False}
    lines = decision.under_way(restoration)
    return {
        "held": held,
        "why": restoration.why,
        "asked": restoration.asked_at is not None,
        "entered": sum(restoration.sweeps.values_list("entered", flat=True)),
        "unclaimed": decision.unclaimed(restoration),
        "left": sum(line.left for line in lines),
        "cannot_tell": decision.cannot_tell(restoration),
    }


def decide(choice: str) -> None:
    from mailings.models import Restoration
    from mailings.restoration import decision
    from users.models import User

    restoration = Restoration.objects.get(decided_at__isnull=True)
    choices = {line.mailing.pk: choice for line in decision.under_way(restoration)}
    decision.decide(restoration, choices, User.objects.get(email="olga@example.com"))


if __name__ == "__main__":
    main()
