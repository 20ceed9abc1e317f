"""Goals of a batch service: one mailing from preparing to processed receipts, beside the plain way and beside the
bare statements, in one database and one run.
"""

from django.db import connection

from benchmarks import bare, pipeline, plain, rows
from benchmarks.cost import Cost, measured, show
from benchmarks.goals import Measured
from benchmarks.once import once
from benchmarks.options import size
from benchmarks.processes import here
from mailings.models import Mailing

PLAIN = (500, 2_000)  # messages that go the plain way
LATENCY = 0.1  # seconds


# --- what the goals share: each is run once --------------------------------------------------
@once
def ours() -> pipeline.Ours:
    _school()
    found = pipeline.run(rows.draft("Benchmark"), _people())
    _after()  # before anything else is written
    show(f"One mailing to {_people():,}, our way", found.lines())
    print(f"{'the SMS service itself':44}{'':10}{_service_us():10.1f}")
    return found


@once
def _school() -> int:
    """Create the people; return the bytes of the database before the first mailing."""
    rows.school(_people())
    return _bytes()


@once
def _bare() -> bare.Bare:
    ours()
    found = bare.run(Mailing.objects.get(name="Benchmark"))
    show("The four bare statements", found.lines())
    return found


@once
def _plain() -> tuple[Cost, Cost]:
    ours()
    people = size(*PLAIN) if size(*PLAIN) < _people() else max(100, _people() // 10)
    sent, received = plain.run(people, rows.TEXT)
    show(
        f"The plain way, {people:,} messages (worker and broker counted)",
        [("row, task and request for each", sent), ("receipts, get and save", received)],
    )
    return sent, received


# --- goals -----------------------------------------------------------------------------------
def beside_plain() -> Measured:
    sent, received = _plain()
    theirs, whole = sent + received, ours().stored
    return Measured(
        theirs.us / whole.us,
        {
            "us ours": whole.us,
            "us plain": theirs.us,
            "us plain PostgreSQL": theirs.postgresql_us,
            "by wall": whole.rate / theirs.rate,
            "messages/s ours": whole.rate,
            "messages/s plain": theirs.rate,
        },
    )


def beside_bare() -> Measured:
    whole, least = ours().stored, _bare().whole
    return Measured(
        whole.us / least.us,
        {"us ours": whole.us, "us bare": least.us, "by wall": least.rate / whole.rate},
    )


def prepare_beside_copy() -> Measured:
    prepared, copied = ours().prepare, _bare().copy
    return Measured(
        100 * copied.us / prepared.us,
        {
            "us prepare": prepared.us,
            "us COPY": copied.us,
            "by wall, %": 100 * prepared.rate / copied.rate,
        },
    )


def at_latency() -> Measured:
    """Hand over two more mailings: the service answers one at once, and the other after 100 ms."""
    ours()
    costs = []
    for name, delay in (("at once", 0.0), ("after 100 ms", LATENCY)):
        pipeline.launch(rows.draft(f"Answered {name}"))
        pipeline.prepare_all()
        here().answer_after(delay)
        costs.append((f"hand over, answered {name}", measured(_people(), pipeline.hand_over_all)))
        here().answer_after(0)
    show("Latency of the service", costs)
    (_, quick), (_, slow) = costs
    return Measured(
        100 * slow.rate / quick.rate,
        {"messages/s at 0 ms": quick.rate, "messages/s at 100 ms": slow.rate},
    )


def growth_of_memory() -> Measured:
    prepared = ours().prepare
    return Measured(prepared.grown, {"MB at most": prepared.peak})


def receipts_beside_plain() -> Measured:
    _, received = _plain()
    processed = ours().process
    return Measured(
        received.us / processed.us,
        {
            "us ours": processed.us,
            "us get and save": received.us,
            "by wall": processed.rate / received.rate,
        },
    )


def bytes_of_message() -> Measured:
    """What the mailing has added to all tables and indexes."""
    whole = ours().stored
    return Measured(
        (_after() - _school()) / whole.count, {"WAL bytes a message": whole.wal / whole.count}
    )


@once
def _after() -> int:
    """Return the bytes of the database after the mailing, with the empty inbox cut to its size: here all
    receipts came before the first was processed, and autovacuum would do it within a minute.
    """
    with connection.cursor() as cursor:
        cursor.execute("VACUUM integrations_receipt")
    return _bytes()


def _people() -> int:
    return size(50_000, 200_000)


def _service_us() -> float:
    told = here().told()
    return float(told["cpu"]) / max(1, int(told["messages"])) * 1e6


def _bytes() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r'")
        return int(cursor.fetchone()[0])
