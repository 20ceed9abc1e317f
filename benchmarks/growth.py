"""Goals of size: what a message costs, and what a process holds, among 1,000,000 beside 50,000, and with 5,000,000
old messages in the table. Only the full run has the time.
"""

from benchmarks import pipeline, rows
from benchmarks.cost import show
from benchmarks.goals import Measured
from benchmarks.once import once
from benchmarks.options import size
from mailings.models import Counters, Mailing, Message

OLD = 5  # old messages for each person


def memory() -> Measured:
    small, large, _ = _three()
    few, many = _peak(small), _peak(large)
    return Measured(many / few, {"MB few": few, "MB many": many})


def cost() -> Measured:
    small, large, _ = _three()
    return _grown(small, large)


def cost_among_old() -> Measured:
    _, large, old = _three()
    return _grown(large, old)


def _grown(before: pipeline.Ours, after: pipeline.Ours) -> Measured:
    first, second = before.stored, after.stored
    return Measured(
        second.us / first.us,
        {
            "us before": first.us,
            "us after": second.us,
            "us PostgreSQL before": first.postgresql_us,
            "us PostgreSQL after": second.postgresql_us,
            "by wall": first.rate / second.rate,
        },
    )


@once
def _three() -> tuple[pipeline.Ours, pipeline.Ours, pipeline.Ours]:
    """Send to a twentieth of the people, to all of them, and once more after many old messages."""
    many = size(1_000_000, 1_000_000)
    few = many // 20
    rows.school(few)
    small = _sent("Few", few)
    rows.make_people(many - few, first=few + 1)
    rows.analyze()
    large = _sent("Many", many)
    _write_old(many)
    old = _sent("Many, after years", many)
    return small, large, old


def _sent(name: str, people: int) -> pipeline.Ours:
    found = pipeline.run(rows.draft(name), people)
    show(f"{name}: {people:,}", found.lines())
    return found


def _write_old(people: int) -> None:
    """Write mailings of former years, to the same people in another order, as phones come in life."""
    for number in range(OLD):
        mailing = Mailing.objects.create(name=f"Year {number}", state=Mailing.State.DONE)
        Counters.objects.create(mailing=mailing, delivered=people, parts=2 * people)
        pattern = Message(mailing=mailing, text="Здравствуйте! " + "x" * 60, parts=2)
        pattern.status = Message.Status.DELIVERED
        person = f"(n * 7919 + {number}) % {people} + 1"
        key = f"'+' || ({rows.FIRST_PHONE} + n)"
        phone = f"'+' || ({rows.FIRST_PHONE} + {person})"
        rows.insert_like(pattern, people, key=key, phone=phone, user_id=person)
    rows.analyze()


def _peak(ours: pipeline.Ours) -> float:
    return max(step.peak for _, step in ours.lines())
