"""Mailings and the batches in which they are submitted. The message to one person is in message.py."""

import secrets
from functools import reduce
from operator import or_
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from integrations.models import Account
from integrations.reasons import About, Reason
from mailings.text.wrapping import Wrapping
from users.models import Group, Segment


class MailingQuerySet(models.QuerySet["Mailing"]):
    """Named filters by kind and state."""

    def campaigns(self) -> Self:
        """Return mailings in the narrow sense: one text to many people."""
        return self.filter(kind=Mailing.Kind.MAILING)

    def notifications(self) -> Self:
        return self.filter(kind=Mailing.Kind.NOTIFICATION)

    def single_sends(self) -> Self:
        """Notifications and test messages: one person at a time."""
        return self.exclude(kind=Mailing.Kind.MAILING)

    def without_tests(self) -> Self:
        """Return campaigns and notifications."""
        return self.exclude(kind=Mailing.Kind.TEST)

    def launched(self) -> Self:
        """Return those that have counters and whose messages are written or being written."""
        return self.exclude(state__in=Mailing.BEFORE_LAUNCH)

    def scheduled(self) -> Self:
        return self.filter(state=Mailing.State.SCHEDULED)

    def watching(self) -> Self:
        return self.filter(state=Mailing.State.WATCHING)

    def to_prepare(self) -> Self:
        """Return those whose list of recipients is being formed."""
        return self.filter(state=Mailing.State.PREPARING, prepared_at__isnull=True)

    def running(self) -> Self:
        """Return those of which something may leave now."""
        return self.filter(state__in=Mailing.RUNNING)

    def listed(self) -> Self:
        """Return campaigns, with what one row of a list shows."""
        return self.campaigns().select_related("counters", "asked_by")

    def with_statistics(self) -> Self:
        """Return launched campaigns and notifications, which share the statistics pages."""
        return self.without_tests().launched().select_related("counters")

    def named(self, typed: str) -> Self:
        """Return those whose name contains `typed`. SQLite ignores case for ASCII only, so the
        usual cases of a name are tried one by one.
        """
        cases = {typed, typed.lower(), typed.upper(), typed.capitalize(), typed.title()}
        return self.filter(reduce(or_, (Q(name__icontains=each) for each in cases)))


class Mailing(models.Model):
    """One text to many people (or, for tests and notifications, to one person at a time).

    draft -> (awaiting ->) (scheduled ->) preparing -> sending <-> paused -> settling -> done. Every
    state in STOPPABLE may become cancelled. `awaiting`: a second person must launch it.
    `scheduled`: the list of recipients is not formed yet. An on-entry mailing is `watching` until
    it is stopped. Sending begins while preparing continues; after a pause, prepared_at tells the
    two apart. A notification is `sending` while it is on and `cancelled` while it is off: switching
    it off stops its waiting messages, as cancelling does with a mailing.
    """

    class Kind(models.TextChoices):
        MAILING = "mailing", _("mailing")
        NOTIFICATION = "notification", _("notification")
        TEST = "test", _("test messages")  # one row for all test sends

    class State(models.TextChoices):
        DRAFT = "draft", pgettext_lazy("mailing", "Draft")
        AWAITING = "awaiting", pgettext_lazy("mailing", "Waiting for a second person")
        SCHEDULED = "scheduled", pgettext_lazy("mailing", "Scheduled")
        WATCHING = "watching", pgettext_lazy("mailing", "Watching the rule")
        PREPARING = "preparing", pgettext_lazy("mailing", "Preparing")
        SENDING = "sending", pgettext_lazy("mailing", "Sending")
        PAUSED = "paused", pgettext_lazy("mailing", "Paused")
        SETTLING = "settling", pgettext_lazy("mailing", "Waiting for receipts")
        DONE = "done", pgettext_lazy("mailing", "Done")
        CANCELLED = "cancelled", pgettext_lazy("mailing", "Cancelled")

    class When(models.TextChoices):
        AT_LAUNCH = "at_launch", _("Right after launch")
        ON_ENTRY = "on_entry", _("After a user comes under the rule")

    class HandOver(models.TextChoices):
        EARLY = "early", _("Hand over beforehand; the service sends at the minute")
        HOLD = "hold", _("Hold here until the minute")

    BEFORE_LAUNCH = frozenset({State.DRAFT, State.AWAITING})  # no counters, no messages yet
    RUNNING = frozenset({State.PREPARING, State.SENDING, State.WATCHING})
    PAUSABLE = RUNNING | {State.SCHEDULED}
    STOPPABLE = PAUSABLE | {State.PAUSED}

    kind = models.CharField(max_length=16, choices=Kind, default=Kind.MAILING)
    name = models.CharField(_("name"), max_length=120)
    text = models.TextField(_("text"), blank=True)
    # For a notification: the name under which the event is raised, and the variables that it
    # brings.
    event = models.SlugField(_("event"), max_length=40, null=True, blank=True, unique=True)
    event_values = models.JSONField(default=list, blank=True)
    everyone = models.BooleanField(_("everyone"), default=False)
    groups = models.ManyToManyField(Group, verbose_name=_("groups"), related_name="+", blank=True)
    segment = models.ForeignKey(
        Segment,
        verbose_name=_("segment"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    # The segment's rule at the launch, with nested segments expanded, so that later changes do not
    # reach a mailing that is being prepared. null before the launch, and for everyone and groups.
    # An on-entry mailing follows the current segment; this is then the rule of its last check.
    rule = models.JSONField(null=True, blank=True)
    only_confirmed = models.BooleanField(_("only confirmed numbers"), default=False)

    # Links become short and personal, so that clicks are counted, or so that students are signed in
    # as well.
    wrap_links = models.BooleanField(_("wrap links to count clicks"), default=False)
    links_sign_in = models.BooleanField(_("wrap links to sign in"), default=False)
    # A sign-in link works for so many days after its message was submitted; null: for ever.
    sign_in_days = models.PositiveSmallIntegerField(
        _("sign-in links work for"), null=True, blank=True
    )
    # Sign-in links that were submitted before this moment no longer sign in.
    sign_in_revoked_at = models.DateTimeField(null=True, blank=True)

    # When
    when = models.CharField(_("when to send"), max_length=16, choices=When, default=When.AT_LAUNCH)
    starts_at = models.DateTimeField(_("scheduled time"), null=True, blank=True)
    # On entry: whether those who are already under the rule at the first look get it too.
    present_too = models.BooleanField(default=True)
    hand_over = models.CharField(max_length=8, choices=HandOver, default=HandOver.EARLY)
    valid_minutes = models.PositiveIntegerField(_("lifetime, minutes"), null=True, blank=True)
    urgent = models.BooleanField(_("urgent: also in quiet hours"), default=False)
    first_wave = models.PositiveIntegerField(_("first wave"), default=0)  # messages; 0: no waves
    # Or a percentage, which the launch turns into a number of messages.
    first_percent = models.PositiveSmallIntegerField(default=0)
    error_limit = models.PositiveSmallIntegerField(_("errors allowed, %"), default=5)
    state = models.CharField(max_length=16, choices=State, default=State.DRAFT)

    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    launched_at = models.DateTimeField(null=True, blank=True)
    launched_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # A launch too big for one person: who asked for approval, and when (state awaiting).
    asked_at = models.DateTimeField(null=True, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # When the list is formed: after the countdown that follows the launch, or some hours before the
    # scheduled time. Until then everything can be taken back. A resumption long after that moment
    # sets it anew.
    leaves_at = models.DateTimeField(null=True, blank=True)
    wave_passed_at = models.DateTimeField(null=True, blank=True)
    # Preparation goes through people by id: cursor is the last one done, ceiling the newest when
    # forming the list began (0: not yet). Checks for new people use both too; ceiling is 0 between
    # two checks.
    cursor = models.BigIntegerField(default=0)
    ceiling = models.BigIntegerField(default=0)
    # Set when nobody is added any more: the list is complete, or the mailing stopped following its rule.
    prepared_at = models.DateTimeField(null=True, blank=True)
    # For an on-entry mailing: when its first check and its last check began.
    watching_since = models.DateTimeField(null=True, blank=True)
    watched_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # Since when its messages and clicks are being removed, because it ended long ago
    # (lifecycle/retention.py). The counters stay, and no longer equal the rows.
    messages_removed_at = models.DateTimeField(null=True, blank=True)
    # Why the system itself has paused it (a Reason), and the provider's own code; '' otherwise.
    trouble = models.CharField(max_length=32, blank=True)
    trouble_raw = models.CharField(max_length=64, blank=True)

    objects = MailingQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["kind", "-id"], name="mailing_list"),
            models.Index(fields=["state"], name="mailing_state"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind"], condition=Q(kind="test"), name="one_row_for_test_messages"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_campaign(self) -> bool:
        """A mailing in the narrow sense: one text to many people."""
        return self.kind == self.Kind.MAILING

    @property
    def is_notification(self) -> bool:
        return self.kind == self.Kind.NOTIFICATION

    @property
    def wrapping(self) -> Wrapping:
        known = {}
        if self.kind == self.Kind.NOTIFICATION and self.pk:
            known = dict(self.links.values_list("url", "position"))
        return Wrapping.chosen(clicks=self.wrap_links, sign_in=self.links_sign_in, known=known)

    @property
    def trouble_about(self) -> About | None:
        """Return in words why the system has paused it."""
        return Reason(self.trouble).about if self.trouble in set(Reason) else None

    @property
    def watches(self) -> bool:
        """Return whether people who come under the rule are added, now or after a pause."""
        on_entry = self.when == self.When.ON_ENTRY and self.prepared_at is None
        return on_entry and self.state in (self.State.WATCHING, self.State.PAUSED)


class BatchQuerySet(models.QuerySet["Batch"]):
    """Named filters by state, and by what the provider holds."""

    def waiting(self) -> Self:
        return self.filter(state=Batch.State.WAITING)

    def in_flight(self) -> Self:
        return self.filter(state=Batch.State.IN_FLIGHT)

    def of_campaigns(self) -> Self:
        return self.filter(mailing__kind=Mailing.Kind.MAILING)

    def scheduled_at_provider(self) -> Self:
        """Return those that were submitted for a time that is still to come."""
        return self.exclude(state=Batch.State.WAITING).filter(send_at__gt=timezone.now())


class Batch(models.Model):
    """A batch of messages that one request, or a burst of requests, submits to one account.

    A batch is one attempt: messages that surely were not sent move to a new waiting Batch, so a
    reference never means two things. waiting -> in_flight -> answered | silent (nobody recorded an
    answer before the lease ended).
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        IN_FLIGHT = "in_flight"
        ANSWERED = "answered"
        SILENT = "silent"

    class Doubt(models.TextChoices):
        """Why the last look-up did not settle the unknown messages. lifecycle/unknown_reasons.py
        has the words.
        """

        READING = "reading"  # the history is longer than one look-up reads
        AWAY = "away"  # the provider did not answer the look-up
        CLOCK = "clock"  # our clock differs from the provider's
        PUT_OFF = "put_off"  # the provider may hold it until the morning or a set time
        LOGIN = "login"  # submitted with a login that is no longer stored
        NO_PROOF = "no_proof"  # read, but nothing proves that the history is complete

    mailing = models.ForeignKey(Mailing, on_delete=models.PROTECT, related_name="batches")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    size = models.PositiveIntegerField()
    # Not submitted before this time: a countdown, a scheduled time, or quiet hours.
    not_before = models.DateTimeField(db_default=Now())
    # Not submitted after expires_at; send_at is the time given to a provider that holds messages
    # until then.
    expires_at = models.DateTimeField(null=True, blank=True)
    send_at = models.DateTimeField(null=True, blank=True)
    # 0 may leave at once; 1 waits until the first wave has passed
    wave = models.PositiveSmallIntegerField(default=0)
    zone = models.CharField(max_length=64, blank=True)  # the zone whose quiet hours apply; '': none
    account = models.ForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="+")
    # Our own random reference, stored before anything leaves. Receipts and look-ups are matched by
    # it.
    reference = models.CharField(max_length=40, unique=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    # Since when the provider may know of it, if a wrong clock wrote claimed_at
    # (sending/clock_repair.py).
    books_since = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    # The login of the account with which it was submitted (integrations.routing.logins), and the
    # reference of a batch that this login had surely submitted before (the witness): a history that
    # does not show the witness proves nothing.
    login = models.CharField(max_length=32, blank=True)
    witness = models.CharField(max_length=40, blank=True)
    # When to ask the provider about messages that are still open; null: nothing to ask.
    look_up_at = models.DateTimeField(null=True, blank=True)
    look_ups = models.PositiveSmallIntegerField(default=0)
    read_to = models.CharField(max_length=64, blank=True)  # how far back the history has been read
    doubt = models.CharField(max_length=16, choices=Doubt, blank=True)
    # When to ask the provider to recall its messages; null: no recall is wanted.
    recall_at = models.DateTimeField(null=True, blank=True)
    # When a person recalled them: once is enough.
    recalled_at = models.DateTimeField(null=True, blank=True)

    objects = BatchQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["mailing", "wave", "not_before", "id"],
                name="batch_waiting",
                condition=Q(state="waiting"),
            ),
            models.Index(
                fields=["account", "claimed_at"],
                name="batch_in_flight",
                condition=Q(state="in_flight"),
            ),
            models.Index(
                fields=["account", "claimed_at"],
                name="batch_claimed",
                condition=Q(claimed_at__isnull=False),
            ),
            models.Index(
                fields=["look_up_at"],
                name="batch_look_up",
                condition=Q(look_up_at__isnull=False),
            ),
            models.Index(
                fields=["recall_at"], name="batch_recall", condition=Q(recall_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"batch {self.pk}"

    @property
    def is_scheduled_at_provider(self) -> bool:
        """Return whether the provider holds it until a future time, so that what it accepted has
        not left yet.
        """
        return self.send_at is not None and self.send_at > timezone.now()

    @staticmethod
    def new_reference() -> str:
        """Return 24 characters of a-z and 0-9, which fit every provider's field (SMSC 40, SevenTech
        100).
        """
        return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(24))
