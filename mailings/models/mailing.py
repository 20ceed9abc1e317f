"""Mailings and their hand-overs. What is sent to one person is in message.py."""

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
    """Kinds and stages by name."""

    def campaigns(self) -> Self:
        """Mailings in the narrow sense: one text to many people."""
        return self.filter(kind=Mailing.Kind.MAILING)

    def notifications(self) -> Self:
        return self.filter(kind=Mailing.Kind.NOTIFICATION)

    def without_tests(self) -> Self:
        """Campaigns and notifications."""
        return self.exclude(kind=Mailing.Kind.TEST)

    def launched(self) -> Self:
        """They have counters, and their messages are written or being written."""
        return self.exclude(state__in=Mailing.BEFORE_LAUNCH)

    def running(self) -> Self:
        """Something of them may leave now."""
        return self.filter(state__in=Mailing.RUNNING)

    def listed(self) -> Self:
        """Campaigns, with what a line of a list shows of each."""
        return self.campaigns().select_related("counters", "asked_by")

    def with_statistics(self) -> Self:
        """Launched campaigns, and notifications: they share the pages behind figures."""
        return self.without_tests().launched().select_related("counters")

    def named(self, typed: str) -> Self:
        """Whose name contains it. SQLite folds the case of ASCII only; these are the cases in which names
        are written.
        """
        cases = {typed, typed.lower(), typed.upper(), typed.capitalize(), typed.title()}
        return self.filter(reduce(or_, (Q(name__icontains=each) for each in cases)))


class Mailing(models.Model):
    """One text to many people (or, for tests and notifications, to one at a time).

    draft -> (awaiting ->) (scheduled ->) preparing -> sending <-> paused -> settling -> done;
    cancelled from any that still sends. awaiting: a second person must launch it. scheduled: the
    list is not formed yet. One that waits for people to come under its rule is `watching` until it
    is stopped. Sending begins while preparing still goes on; prepared_at tells the two apart after
    a pause. A notification is `sending` while it is on and `cancelled` while it is off: what waits
    when it is switched off is stopped, as with a mailing.
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
    # A notification's: the name by which it is raised, and the variables that the event brings.
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
    # The segment's rule at launch, segments inside it written out: later changes do not reach a
    # mailing that is being prepared. null before the launch, and for everyone and groups. One that
    # watches goes by the segment as it is; here stands the rule of its last look.
    rule = models.JSONField(null=True, blank=True)
    only_confirmed = models.BooleanField(_("only confirmed numbers"), default=False)

    # Links: short and personal, so that clicks are counted; or a sign-in for students as well.
    wrap_links = models.BooleanField(_("wrap links to count clicks"), default=False)
    links_sign_in = models.BooleanField(_("wrap links to sign in"), default=False)
    # So many days after its message was handed over a link signs in; null: for ever.
    sign_in_days = models.PositiveSmallIntegerField(
        _("sign-in links work for"), null=True, blank=True
    )
    # Sign-in links handed over before this moment no longer sign in.
    sign_in_revoked_at = models.DateTimeField(null=True, blank=True)

    # When
    when = models.CharField(_("when to send"), max_length=16, choices=When, default=When.AT_LAUNCH)
    starts_at = models.DateTimeField(_("scheduled time"), null=True, blank=True)
    # On entry: do those get it who are under the rule when the watching begins?
    present_too = models.BooleanField(default=True)
    hand_over = models.CharField(max_length=8, choices=HandOver, default=HandOver.EARLY)
    valid_minutes = models.PositiveIntegerField(_("lifetime, minutes"), null=True, blank=True)
    urgent = models.BooleanField(_("urgent: also in quiet hours"), default=False)
    first_wave = models.PositiveIntegerField(_("first wave"), default=0)  # messages; 0: no waves
    # Or so many percent: the launch makes messages of them.
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
    # A launch too big for one person: who asked, and when (state awaiting).
    asked_at = models.DateTimeField(null=True, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # When the list is formed: the countdown after the launch, or the hours before the time set. Until
    # then everything can be taken back. A resumption long after that moment makes it anew.
    leaves_at = models.DateTimeField(null=True, blank=True)
    wave_passed_at = models.DateTimeField(null=True, blank=True)
    # Preparation walks people by id: cursor is the last one done, ceiling the newest when the
    # list began to be formed (0: not yet). Looks for new people walk them too: 0 between two looks.
    cursor = models.BigIntegerField(default=0)
    ceiling = models.BigIntegerField(default=0)
    # Nobody comes into it any more: the list is complete, or the watching was stopped.
    prepared_at = models.DateTimeField(null=True, blank=True)
    # A watching one: when its first look and its last look began.
    watching_since = models.DateTimeField(null=True, blank=True)
    watched_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    # Why the system itself has paused it (a Reason), and the service's own code; '' otherwise.
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
    def wrapping(self) -> Wrapping:
        known = {}
        if self.kind == self.Kind.NOTIFICATION and self.pk:
            known = dict(self.links.values_list("url", "position"))
        return Wrapping.chosen(clicks=self.wrap_links, sign_in=self.links_sign_in, known=known)

    @property
    def trouble_about(self) -> About | None:
        """Why the system has paused it, in words."""
        return Reason(self.trouble).about if self.trouble in set(Reason) else None

    @property
    def watches(self) -> bool:
        """Whoever comes under the rule is taken in, now or after a pause."""
        on_entry = self.when == self.When.ON_ENTRY and self.prepared_at is None
        return on_entry and self.state in (self.State.WATCHING, self.State.PAUSED)


class Batch(models.Model):
    """One batch of messages that one request, or one burst of requests, hands to one account.

    It is one attempt: messages that surely were not sent move to a new waiting Batch, so a
    reference never means two things. waiting -> handing -> answered | silent (nobody recorded an
    answer before the lease ended).
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        HANDING = "handing"
        ANSWERED = "answered"
        SILENT = "silent"

    class Doubt(models.TextChoices):
        """Why the last look did not settle what is unknown. The words are in unresolved.py."""

        READING = "reading"  # the books are longer than one look
        AWAY = "away"  # no answer to our question
        CLOCK = "clock"  # ours differs from the service's
        PUT_OFF = "put_off"  # it may be kept until the morning
        LOGIN = "login"  # handed over with a login that is not kept any more
        NO_PROOF = "no_proof"  # read, and nothing shows that the books would tell

    mailing = models.ForeignKey(Mailing, on_delete=models.PROTECT, related_name="batches")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    size = models.PositiveIntegerField()
    # Not handed over earlier: a countdown, a time set, quiet hours.
    not_before = models.DateTimeField(db_default=Now())
    # Not handed over later; and the time given to a service that keeps messages until then.
    expires_at = models.DateTimeField(null=True, blank=True)
    send_at = models.DateTimeField(null=True, blank=True)
    wave = models.PositiveSmallIntegerField(default=0)  # 0 may go at once; 1 waits for the verdict
    zone = models.CharField(max_length=64, blank=True)  # whose quiet hours matter; '': none do
    account = models.ForeignKey(Account, null=True, on_delete=models.PROTECT, related_name="+")
    # Ours, random, and known before anything leaves: receipts and look-ups are matched by it.
    reference = models.CharField(max_length=40, unique=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    # From when the service may know of it, where claimed_at was written by a wrong clock (clock_repair.py).
    books_since = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    # Which login of the account it was handed over with (integrations.routing.logins), and the reference of a
    # batch that this login had surely taken before: its books must show that one, or they prove nothing.
    login = models.CharField(max_length=32, blank=True)
    witness = models.CharField(max_length=40, blank=True)
    # When to ask the provider about messages that are still open; null: nothing to ask.
    look_up_at = models.DateTimeField(null=True, blank=True)
    look_ups = models.PositiveSmallIntegerField(default=0)
    read_to = models.CharField(max_length=64, blank=True)  # how far back its books have been read
    doubt = models.CharField(max_length=16, choices=Doubt, blank=True)
    # When to ask the provider to give its messages back; null: nobody wants them back.
    recall_at = models.DateTimeField(null=True, blank=True)
    # When a person wanted them back: once is enough.
    recalled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["mailing", "wave", "not_before", "id"],
                name="batch_waiting",
                condition=Q(state="waiting"),
            ),
            models.Index(
                fields=["account", "claimed_at"],
                name="batch_handing",
                condition=Q(state="handing"),
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
    def is_kept(self) -> bool:
        """The service keeps it until a time to come: what it has taken has not left yet."""
        return self.send_at is not None and self.send_at > timezone.now()

    @staticmethod
    def new_reference() -> str:
        """24 characters of a-z and 0-9: fits every provider's field (SMSC 40, SevenTech 100)."""
        return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(24))
