"""Goal of questions about everybody: how long it takes to determine who gets a mailing among a million people. It
prints each condition of a rule alone, typical rules, the funnel and the lists behind its lines; each compared with
one count of all people, taken in the same run.
"""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from benchmarks import school
from benchmarks.cost import answer
from benchmarks.goals import Measured
from benchmarks.options import FULL, size
from integrations.models import Account
from integrations.reasons import Reason
from mailings.audience import audience, funnel, text_extremes
from mailings.audience.personalization import parsed
from mailings.audience.spec import AudienceSpec
from mailings.models import Mailing, Policy
from users.models import Group, Segment, User
from users.segments import person_conditions, rules, segments
from users.segments.big_queries import over_everybody
from users.segments.conditions import Field, Kind, Operator

TIMES = 3  # the best of this many runs
TODAY = timezone.now().date()
DAYS_AGO = (TODAY - timedelta(days=30)).isoformat()
TYPED = {"city": "Казань", "own:course": "Python", "own:age": 30, "own:born": "1990-01-01"}
Rule = dict[str, Any]


def worst() -> Measured:
    """Compare the four questions that a composer asks with a count of all people; the worst counts."""
    people = size(1_000_000, 1_000_000)
    owner = school.fill(people)
    everybody = User.objects.filter(is_active=True)
    everybody.count()
    unit, unit_wall = answer(everybody.count, TIMES)
    ratios: dict[str, float | str] = {}
    walls: dict[str, float | str] = {}
    for name, do in questions(owner):
        do()
        cpu, wall = answer(do, TIMES)
        ratios[name], walls[f"{name} by wall"] = cpu / unit, wall / unit_wall
    value = max(float(ratio) for ratio in ratios.values())
    if FULL:
        print_all()
    return Measured(value, ratios | walls | {"ms count of all": 1000 * unit})


def questions(owner: User) -> "Lines":
    Account.objects.create(provider="simulator", credentials={"on": "yes"}, price=3, parallel=4)
    client = Client(headers={"host": "localhost"}, raise_request_exception=True)
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    everyone = drafts()["to everyone"]
    known = rules.read(school.KNOWN)
    form = {"name": "x", "text": school.TEXT, "recipients": "everyone"}
    yield "funnel", forgetful(partial(funnel.count, everyone))
    yield "segment", forgetful(lambda: segments.count(known))
    yield "meter", forgetful(lambda: client.post("/mailings/meter/", form))
    yield "who gets it", forgetful(lambda: client.get(f"/mailings/{everyone.pk}/audience/"))


def print_all() -> None:
    print(f"ms: the best of {TIMES}; ratio: to a count of all people taken just before.")
    for title, lines in (
        ("One condition, counted", alone()),
        ("Rules as people make them, counted", nested()),
        ("Who gets a mailing", choices()),
    ):
        print(f"\n{title:64}{'ms':>8}{'ratio':>8}{'count':>8}")
        for name, do in lines:
            unit = best(User.objects.filter(is_active=True).count)
            taken = best(do)
            ratio = taken / unit
            print(f"{name[:63]:64}{taken * 1000:8.0f}{ratio:8.2f}{unit * 1000:8.0f}", flush=True)


def best(do: Callable[[], object]) -> float:
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        do()
        taken.append(time.perf_counter() - began)
    return min(taken)


Lines = Iterator[tuple[str, Callable[[], object]]]


# --- rules ------------------------------------------------------------------------------------
def alone() -> Lines:
    """Yield every operator of every field, so that later additions are measured too."""
    for field in person_conditions.fields().values():
        for slug, op in field.operators.items():
            name = f"{field.slug} {slug}"
            yield name, counting({"all": [asks(field.slug, slug, value_for(field, op))]})


def value_for(field: Field, op: Operator) -> Any:
    spec = str(next(iter(field.choices()))[0]) if field.choices else ""
    match op.kind:
        case Kind.NONE:
            return None
        case Kind.TWO_DATES:
            return [DAYS_AGO, TODAY.isoformat()]
        case Kind.CHOICE:
            return spec
        case Kind.CHOICE_AND_DATE:
            return [spec, DAYS_AGO]
        case Kind.DATE:
            return TYPED.get(field.slug, DAYS_AGO)
        case Kind.DAYS:
            return 30
        case _:
            return TYPED.get(field.slug, "Анна")


def nested() -> Lines:
    group, other = (str(each.pk) for each in Group.objects.all()[:2])

    autumn, lately = map(str, Mailing.objects.order_by("id").values_list("id", flat=True)[:2])
    inside = Segment.objects.get(name="Known phones").pk
    confirmed = asks("phone", "confirmed")
    made: dict[str, Rule] = {
        "of a city, phone confirmed, registered in a year": {
            "all": [asks("city", "is", "Казань"), confirmed, asks("registered", "in_days", 365)]
        },
        "in a group or of two cities, not opted out, confirmed": {
            "all": [
                {
                    "any": [
                        asks("group", "in", group),
                        asks("city", "is", "Казань"),
                        asks("city", "is", "Самара"),
                    ]
                },
                {"not": asks("sms", "opted_out")},
                confirmed,
            ]
        },
        "got one mailing and did not click, no SMS in two days": {
            "all": [
                asks("mailing", "received", autumn),
                asks("mailing", "not_clicked", autumn),
                asks("lately", "had_none", 2),
            ]
        },
        "clicked one of two mailings, in a group, not in another": {
            "all": [
                {
                    "any": [
                        asks("mailing", "clicked", autumn),
                        asks("mailing", "clicked", lately),
                    ]
                },
                asks("group", "in", group),
                asks("group", "not_in", other),
            ]
        },
        "a segment inside, of a course, over 18, not seen for a month": {
            "all": [
                {"segment": inside},
                asks("own:course", "is", "Python"),
                asks("own:age", "above", 18),
                asks("seen", "not_in_days", 30),
            ]
        },
        "none of: a group, a click, an SMS lately, forbidden": {
            "not": {
                "any": [
                    asks("group", "in", group),
                    asks("mailing", "clicked", autumn),
                    asks("lately", "had", 10),
                    asks("sms", "forbidden"),
                ]
            }
        },
        "six at once, two of them by any": {
            "all": [
                {"any": [asks("group", "in", group), asks("mailing", "received", lately)]},
                asks("language", "is", "ru"),
                asks("registered", "since", "2024-01-01"),
                {"not": asks("city", "contains", "бург")},
                asks("phone", "present"),
            ]
        },
    }
    for name, rule in made.items():
        yield name, counting(rule)


def asks(field: str, op: str, value: Any = None) -> Rule:
    return {"field": field, "op": op, "value": value}


def counting(rule: Rule) -> Callable[[], object]:
    return lambda: segments.count(rules.read({"version": rules.VERSION, **rule}))


# --- mailings ---------------------------------------------------------------------------------
def drafts() -> dict[str, Mailing]:
    """Return drafts by the name of their recipients."""
    everyone = Mailing(name="To everyone", everyone=True)
    group = Mailing(name="To a group")
    segment = Mailing(name="To a segment", segment=Segment.objects.get(name="Known phones"))
    needy = Mailing(name="To everyone, {course} and no more", everyone=True)
    made = {each.name.lower(): each for each in (everyone, group, segment, needy)}
    for each in made.values():
        each.text = school.TEXT
        each.save()
    needy.text = "{course}"
    needy.save()
    group.groups.set(Group.objects.all()[:1])
    return made


def choices() -> Lines:
    made = drafts()
    template = parsed(school.TEXT)
    for name, draft in made.items():
        yield f"funnel {name}", partial(funnel.count, draft)
    everyone, segment = made["to everyone"], made["to a segment"]
    capped = Policy(id=1, cap_messages=1, cap_days=7)
    twice = Policy(id=1, cap_messages=2, cap_days=60)
    for name, policy in (("1 in 7 days", capped), ("2 in 60 days", twice)):
        policy.save()
        yield f"funnel to everyone, no more than {name}", lambda: funnel.count(everyone)
        yield f"list of those who had {name}", page_of(everyone, Reason.HAD_LATELY)
        yield f"list of receivers, no more than {name}", page_of(everyone)
        yield "the same list deep", page_of(everyone, before=deep())
    policy.delete()
    for draft in (everyone, segment):
        of = draft.name.lower()
        yield f"list of receivers {of}", page_of(draft)
        yield "the same list deep", page_of(draft, before=deep())
        for reason in (
            Reason.NO_PHONE,
            Reason.BAD_PHONE,
            Reason.FORBIDDEN,
            Reason.OPTED_OUT,
            Reason.SAME_PHONE,
            Reason.EMPTY_TEXT,
        ):
            yield f"list of {reason.value} {of}", page_of(draft, reason)
        spec = AudienceSpec.of(draft)
        yield f"one person {of}", partial(audience.sample, draft)
        yield f"one person by name {of}", partial(audience.sample, draft, "Лазарева")
        yield "one person by phone", partial(audience.sample, draft, "79980123456")
        yield f"extremes {of}", forgetful(partial(text_extremes.extremes, spec, template))
        yield (
            f"parts of all {of}",
            forgetful(partial(text_extremes.parts, spec, template, 900_000)),
        )


def page_of(draft: Mailing, reason: Reason | None = None, before: int = 0) -> Callable[[], object]:
    def page() -> object:
        rows = audience.excluded(draft, reason) if reason else audience.receivers(draft)
        if before:
            rows = rows.filter(id__lt=before)
        with over_everybody():
            return list(rows.order_by("-id")[:51])

    return page


def deep() -> int:
    return audience.newest() // 2


def forgetful(do: Callable[[], object]) -> Callable[[], object]:
    def anew() -> object:
        cache.clear()
        return do()

    return anew
