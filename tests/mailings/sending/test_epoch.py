"""The gate: which databases are held for copies, and which are not, whatever was killed in between."""

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from integrations.providers.contract import Outcome
from mailings.lifecycle import on_entry, start
from mailings.lifecycle import recall as recall_
from mailings.models import Batch, Epoch, Mailing, Message, Restoration
from mailings.notifications import send
from mailings.sending import claim, epoch, id_sequences, prepare, reconciliation, worker
from smsmail.jobs import epoch_file
from tests import factories
from tests.mailings import mailing_factories
from users.models import User

pytestmark = pytest.mark.django_db


def moved_on(times: int = 1) -> int:
    """The epoch, so many looks later."""
    for _ in range(times):
        epoch.advance_due()
    return Epoch.objects.get().tick


def turned_back(by: int = 1) -> None:
    """As if a copy of so many looks ago had been put back."""
    Epoch.objects.update(tick=Epoch.objects.get().tick - by)


def another_machine(state_dir: Path) -> None:
    """The same database, seen from where no file is."""
    (state_dir / epoch_file.NAME).unlink()
    epoch.forget()


# --- no false alarms --------------------------------------------------------------------------
def test_a_first_start_is_not_held() -> None:
    assert not epoch.is_held()
    assert moved_on(3) == 3


def test_a_kill_between_the_two_writes_is_not_taken_for_a_copy(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is ahead of the file then: after the very first write, and after any other."""
    monkeypatch.setattr(epoch, "note", lambda tick: False)
    moved_on(2)
    epoch.forget()
    assert not epoch.is_held()
    monkeypatch.undo()
    assert moved_on() == 3
    assert epoch_file.read().tick == 3  # type: ignore[union-attr]
    assert not epoch.is_held()


@pytest.mark.parametrize("spoilt", [0, 1], ids=["the first record", "the second record"])
def test_a_power_cut_while_the_file_is_written_spoils_one_record_only(
    state_dir: Path, spoilt: int
) -> None:
    moved_on(4)
    path = state_dir / epoch_file.NAME
    content = bytearray(path.read_bytes())
    at = spoilt * epoch_file.RECORD
    content[at : at + 20] = b"\0" * 20
    path.write_bytes(content)
    assert epoch_file.read().tick in (3, 4)  # type: ignore[union-attr]
    assert not epoch.is_held()
    moved_on()
    assert epoch_file.read().tick == 5  # type: ignore[union-attr]


def test_a_new_empty_database_beside_an_old_file_is_new(state_dir: Path) -> None:
    epoch_file.create(5000, timezone.now())
    assert not epoch.is_held()
    assert moved_on() == 5001


def test_two_workers_move_it_on_together(state_dir: Path) -> None:
    assert not epoch.is_held()
    for _ in range(5):
        with transaction.atomic():
            first = epoch.advance()
        assert not epoch.is_held()
        with transaction.atomic():
            second = epoch.advance()
        assert first is not None
        assert second == first + 1
        # The later one may come to the disk first.
        assert epoch.note(second)
        assert epoch.note(first)
        assert not epoch.is_held()
        noted = epoch_file.read()
        assert noted is not None
        assert noted.tick == second


def test_a_machine_that_joins_others_is_not_held(state_dir: Path) -> None:
    moved_on(3)
    another_machine(state_dir)
    assert epoch.is_held()  # for the moment
    assert not Restoration.objects.exists()
    Epoch.objects.update(tick=4)  # somebody who has the file
    assert not epoch.is_held()
    assert moved_on() == 5


# --- copies -----------------------------------------------------------------------------------
@pytest.mark.parametrize("by", [1, 2, 1000])
def test_a_database_that_knows_less_than_the_file_is_held(by: int) -> None:
    moved_on(2)
    epoch_file.note(2 + by, timezone.now())
    assert epoch.is_held()
    restoration = Restoration.objects.get()
    assert (restoration.why, restoration.seen_tick) == ("older", 2 + by)
    assert epoch.is_held()
    assert Restoration.objects.count() == 1


def test_it_is_known_for_a_copy_when_one_claim_is_missing(owner: User) -> None:
    """A standby that lagged by a single hand-over: not even a second old."""
    factories.students(10)
    factories.simulator()
    mailing_factories.prepared(owner)
    before = moved_on()
    mailing_factories.sent(Outcome.TAKEN)
    Epoch.objects.update(tick=before)
    assert claim.claim() is None
    assert epoch.is_held()


def test_a_new_machine_without_the_file_is_held(state_dir: Path) -> None:
    moved_on(3)
    Epoch.objects.update(at=timezone.now() - timedelta(minutes=5))
    another_machine(state_dir)
    assert epoch.is_held()
    assert Restoration.objects.get().why == "no_file"


def test_a_file_that_cannot_be_read_any_more_is_a_missing_one(state_dir: Path) -> None:
    moved_on(3)
    Epoch.objects.update(at=timezone.now() - timedelta(minutes=5))
    (state_dir / epoch_file.NAME).write_bytes(b"\0" * 128)
    epoch.forget()
    assert epoch.is_held()


def test_a_copy_from_before_there_was_an_epoch_is_held(owner: User) -> None:
    factories.students(3)
    factories.simulator()
    mailing_factories.prepared(owner)
    Epoch.objects.all().delete()
    epoch_file.create(700, timezone.now())
    epoch_file.note(700, timezone.now())
    assert epoch.is_held()


def test_a_copy_made_while_another_was_held_is_held_anew(state_dir: Path) -> None:
    moved_on(2)
    epoch.hold(Restoration.Why.SAID)
    first = Restoration.objects.get()
    Restoration.objects.update(asked_at=timezone.now())
    epoch_file.note(900, timezone.now())  # decided then, and much was sent since
    assert epoch.is_held()
    newest = Restoration.objects.get(decided_at=None)
    assert newest.pk != first.pk
    assert newest.asked_at is None
    assert newest.since <= first.since


def test_where_the_file_cannot_be_written_nothing_leaves(
    owner: User, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.students(3)
    factories.simulator()
    mailing_factories.prepared(owner)
    assert not epoch.is_held()
    monkeypatch.setattr(epoch_file, "is_open", lambda: False)
    assert claim.claim() is None
    assert Epoch.objects.get().no_place_at is not None
    monkeypatch.undo()
    assert claim.claim() is not None


def test_a_disk_that_breaks_burns_one_batch_and_no_more(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.students(5)
    factories.simulator(per_second=1)
    mailing_factories.prepared(owner)

    def broken(tick: int, at: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(epoch_file, "note", broken)
    monkeypatch.setattr(epoch_file, "can_be_written", lambda: False)
    with pytest.raises(epoch.NoPlace):
        claim.claim()
    assert claim.claim() is None
    assert Batch.objects.filter(state=Batch.State.IN_FLIGHT).count() == 1


# --- what is held -----------------------------------------------------------------------------
JOBS: dict[str, Callable[[], bool]] = {
    "start": start.start_due,
    "prepare": prepare.prepare_due,
    "watch": on_entry.watch_due,
    "hand over": worker.hand_over_due,
    "notify": worker.notify_due,
    "recall": recall_.recall_due,
    "reconcile": reconciliation.reconcile_due,
}


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_no_job_goes_on_in_a_copy(owner: User, job: Callable[[], bool]) -> None:
    factories.students(6, phone_confirmed_at=timezone.now())
    factories.simulator()
    running = mailing_factories.prepared(owner)
    mailing_factories.sent(Outcome.UNKNOWN)
    mailing_factories.grown_older(hours=1)
    mailing_factories.launched(owner, name="Another")
    mailing_factories.draft(
        name="Scheduled",
        state=Mailing.State.SCHEDULED,
        leaves_at=timezone.now() - timedelta(seconds=1),
        launched_at=timezone.now(),
    )
    mailing_factories.watching(name="Watching", everyone=True)
    Batch.objects.filter(mailing=running).update(recall_at=timezone.now())
    epoch.hold(Restoration.Why.SAID)
    before = everything()
    job()
    assert everything() == before


def everything() -> list[Any]:
    return [
        list(Message.objects.order_by("id").values_list("id", "status", "batch")),
        list(Batch.objects.order_by("id").values_list("id", "state", "look_up_at", "recall_at")),
        list(Mailing.objects.order_by("id").values_list("id", "state", "cursor", "watched_at")),
    ]


# --- numbers of messages ----------------------------------------------------------------------
def test_a_message_written_after_a_copy_never_gets_the_number_of_an_earlier_one(
    owner: User, student: User
) -> None:
    """Its short links would open another person's page. Not even one that is written before any job
    has looked.
    """
    factories.simulator()
    moved_on()
    first = send.send_one(send.tests(), student, key="a", phone=student.phone, body="A")
    lost = send.send_one(send.tests(), student, key="b", phone=student.phone, body="B")
    Message.objects.filter(pk=lost.pk).delete()
    _forget_sequence(first.pk)
    epoch_file.note(500, timezone.now())
    after = send.send_one(send.tests(), student, key="c", phone=student.phone, body="C")
    assert after.pk > lost.pk + id_sequences.LEAP
    person = factories.person("nina")
    assert person.pk > owner.pk + id_sequences.LEAP


def _forget_sequence(last: int) -> None:
    """As in the copy."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence('mailings_message', 'id'), %s)", [last]
            )
        else:
            cursor.execute(
                "UPDATE sqlite_sequence SET seq = %s WHERE name = 'mailings_message'", [last]
            )


def test_after_the_owners_word_all_machines_go_on(state_dir: Path, owner: User) -> None:
    """Also one whose file knows more than the machine that has noticed."""
    moved_on(2)
    shutil.copy(state_dir / epoch_file.NAME, state_dir / "elsewhere")
    epoch_file.note(300, timezone.now())
    assert epoch.is_held()
    with transaction.atomic():
        epoch.release(Restoration.objects.get())
        Restoration.objects.update(decided_at=timezone.now())
    assert not epoch.is_held()
    epoch_file.note(320, timezone.now())
    assert not epoch.is_held()
    os.replace(state_dir / "elsewhere", state_dir / epoch_file.NAME)
    assert not epoch.is_held()
    another_machine(state_dir)
    assert not epoch.is_held()  # its owner has just said so
    assert moved_on() > 320


def test_a_look_costs_one_query(django_assert_num_queries: Any) -> None:
    epoch.is_held()
    with django_assert_num_queries(1):
        assert not epoch.is_held()
