"""People, their groups and their consent to SMS. Consent changes only through consent.py."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from .parsing import phone_classes, refusals
from .rights import STAFF, Right, Role, rights_of


class Group(models.Model):
    """A named set of people, maintained by hand."""

    name = models.CharField(_("name"), max_length=100, unique=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class Segment(models.Model):
    """People selected by a rule, which rules.py reads. The people in it are determined anew each
    time.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    rule = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey("User", null=True, on_delete=models.SET_NULL, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)
    # The last count and when it was made: shown in lists, never relied on.
    counted = models.PositiveIntegerField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class OwnField(models.Model):
    """A field of people that this installation has added; its values are in User.fields under
    `slug`.
    """

    class Kind(models.TextChoices):
        TEXT = "text", _("text")
        NUMBER = "number", _("number")
        DATE = "date", _("date")
        YES_NO = "yes_no", _("yes or no")

    slug = models.SlugField(_("name in texts and rules"), max_length=40, unique=True)
    label = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind, default=Kind.TEXT)

    class Meta:
        ordering: ClassVar = ["label"]

    def __str__(self) -> str:
        return self.label


# Columns from which save() derives others, and the derived ones.
FOUND_BY = {"first_name", "last_name", "email", "phone"}
DERIVED = ("search", "phone_class")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save()
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        """Look an e-mail up in any letter case; it is stored in lower case."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person: staff or student. Signs in by e-mail. Django's own permissions are not used: rights
    are a short list of our own (rights.py).
    """

    email = models.EmailField(_("e-mail"), unique=True)
    first_name = models.CharField(_("first name"), max_length=100, blank=True)
    last_name = models.CharField(_("last name"), max_length=100, blank=True)
    role = models.CharField(_("role"), max_length=16, choices=Role, default=Role.STUDENT)
    rights = models.JSONField(_("rights"), default=list, blank=True)
    is_active = models.BooleanField(_("may sign in"), default=True)
    date_joined = models.DateTimeField(_("registered"), default=timezone.now)
    last_seen_at = models.DateTimeField(_("last seen"), null=True, blank=True)

    # Somebody else made the password: it opens only the page where it is changed.
    must_change_password = models.BooleanField(default=False, db_default=False)
    # Who gave the first password, from which all later ones followed (staff.py); null: not known.
    password_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Part of the session hash: adding one ends all sessions.
    sessions_ended = models.PositiveIntegerField(default=0, db_default=0)

    # E.164 or ''. Not unique, because families share a phone; a mailing sends one SMS per phone.
    phone = models.CharField(_("phone"), max_length=16, blank=True)
    phone_confirmed_at = models.DateTimeField(null=True, blank=True)
    # Somebody else has confirmed this number, and staff say that both have it (phone_owners.py).
    phone_shared = models.BooleanField(default=False, db_default=False)
    # Derived from the phone by phone_classes.class_of(), so that queries over everybody can use it.
    phone_class = models.CharField(max_length=8, editable=False, default="", db_default="")
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    language = models.CharField(_("language"), max_length=8, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    fields = models.JSONField(_("own fields"), default=dict, blank=True)
    groups = models.ManyToManyField(
        Group,
        verbose_name=_("groups"),
        related_name="people",
        blank=True,
        through="Membership",
    )

    # Overrides everything: this person gets no mailing and no notification.
    sms_forbidden = models.BooleanField(_("SMS forbidden"), default=False)
    sms_forbidden_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    sms_forbidden_at = models.DateTimeField(null=True, blank=True)

    # Sign-in links submitted at or before this time no longer work.
    links_revoked_at = models.DateTimeField(null=True, blank=True)

    # E-mail, name and phone in lower case: SQLite's LIKE ignores case in ASCII only.
    search = models.TextField(editable=False, default="")

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        indexes: ClassVar = [
            models.Index(fields=["role", "id"], name="user_role"),
            # Covers all columns that a funnel reads: a million phones are counted from the index alone.
            models.Index(
                fields=["phone", "id"],
                include=[
                    *("is_active", "sms_forbidden", "phone_confirmed_at"),
                    *("phone_shared", "phone_class"),
                ],
                name="user_phone",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.prepare_for_saving()
        if (fields := kwargs.get("update_fields")) is not None:
            kwargs["update_fields"] = {*fields, *(DERIVED if FOUND_BY & set(fields) else ())}
        super().save(*args, **kwargs)

    def prepare_for_saving(self) -> None:
        """Set what save() derives. Call it before bulk_create(), which does not call save()."""
        self.email = self.email.strip().lower()
        self.search = f"{self.first_name} {self.last_name} {self.email} {self.phone}".lower()
        self.phone_class = phone_classes.class_of(self.phone)

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.email

    def _get_session_auth_hash(self, secret: Any = None) -> str:
        """Hash the password, as Django does, together with how often all sessions were ended."""
        of_password: str = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]
        if not self.sessions_ended:
            return of_password
        counted = f"{of_password}:{self.sessions_ended}"
        return salted_hmac("users.sessions_ended", counted, secret=secret).hexdigest()

    @property
    def is_staff(self) -> bool:
        return self.role in STAFF

    @property
    def power(self) -> frozenset[str]:
        """The rights that the role and the ticked rights give, whether the person may sign in or
        not.
        """
        return rights_of(self.role, self.rights)

    @cached_property
    def all_rights(self) -> frozenset[str]:
        return self.power if self.is_active else frozenset()

    def may(self, right: Right | str) -> bool:
        return str(right) in self.all_rights

    @property
    def can(self) -> dict[str, bool]:
        """For templates: `user.can.send_mailings` is True or False."""
        return {right: self.may(right) for right in Right.values}


class Membership(models.Model):
    """A person in a group, and since when."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    # No index of its own: the constraint's index begins with this column.
    group = models.ForeignKey(
        Group, on_delete=models.CASCADE, related_name="memberships", db_index=False
    )
    added_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["group", "user"], name="one_membership"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.group_id}"


class PasswordLink(models.Model):
    """A single-use link at which a person sets a password (password_links.py). Its token is shown
    once; only a digest of it is stored.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="password_links")
    digest = models.CharField(max_length=64, unique=True)
    made_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    made_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)  # used, or void

    def __str__(self) -> str:
        return f"password link {self.pk}"


class LinkSignIn(models.Model):
    """One sign-in by a link from an SMS, or a refused attempt. Rows are only ever added."""

    class Outcome(models.TextChoices):
        SIGNED_IN = "signed_in", _("signed in")
        STAFF = "staff", _("staff: asked for the password")
        REVOKED = "revoked", _("the link is revoked")
        BLOCKED = "blocked", _("the person may not sign in")
        EXPIRED = "expired", _("the link's time was over")

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="link_sign_ins")
    source = models.CharField(max_length=40)  # "mailing 5"
    outcome = models.CharField(max_length=16, choices=Outcome)
    # Identifies the visit. Unique, so that it is valid once even if a cache loses it; null in old rows.
    ticket = models.CharField(max_length=32, null=True, unique=True)  # noqa: DJ001
    at = models.DateTimeField(db_default=Now())
    network = models.CharField(max_length=48, blank=True)  # /24 or /48
    user_agent = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["user", "-id"], name="link_sign_in_user")]

    def __str__(self) -> str:
        return f"{self.outcome} {self.pk}"

    @property
    def number(self) -> str:
        """The id of the mailing, as its URL shows it."""
        return self.source.rpartition(" ")[2]


class OptOut(models.Model):
    """A phone that wants no SMS. Stored by phone, so that it survives the person's deletion and
    re-import.
    """

    class Source(models.TextChoices):
        STAFF = "staff", _("a member of staff")
        PERSON = "person", _("the person")
        REPLY = "reply", _("a reply by SMS")
        PROVIDER = "provider", _("the SMS service")

    phone = models.CharField(max_length=16, unique=True)
    source = models.CharField(max_length=16, choices=Source)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"opt-out {self.pk}"


class ConsentEvent(models.Model):
    """One line of the consent book. Lines are only ever added, and stay when the person is deleted."""

    class Kind(models.TextChoices):
        FORBIDDEN = "forbidden", _("SMS forbidden")
        ALLOWED = "allowed", _("SMS allowed")
        OPTED_OUT = "opted_out", _("opted out")
        OPTED_IN = "opted_in", _("opted in again")
        CONFIRMED = "confirmed", _("phone confirmed")
        CORRECTED = "corrected", _("opt-out taken back, it was a mistake of ours")

    user = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="consent_events"
    )
    phone = models.CharField(max_length=16, blank=True)
    kind = models.CharField(max_length=16, choices=Kind)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    source = models.CharField(max_length=16, choices=OptOut.Source)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [models.Index(fields=["phone", "id"], name="consent_phone")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class PhoneCode(models.Model):
    """A code sent to confirm a phone. Only its nonce is stored, never the code itself
    (confirmation.py). Rows are kept for a day, to count requests.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="phone_codes")
    phone = models.CharField(max_length=16)
    nonce = models.CharField(max_length=16, unique=True)
    network = models.CharField(max_length=48, blank=True)  # /24 or /48
    asked_at = models.DateTimeField(default=timezone.now)
    tries = models.PositiveSmallIntegerField(default=0)
    # It was used, replaced, not sent, or typed wrong too often.
    closed = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["user", "asked_at"], name="phone_code_user"),
            models.Index(fields=["phone", "asked_at"], name="phone_code_phone"),
            models.Index(fields=["asked_at"], name="phone_code_age"),
        ]

    def __str__(self) -> str:
        return f"phone code {self.pk}"


class Reply(models.Model):
    """An SMS received from a phone. The person is the one to whom the phone belonged then."""

    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="replies")
    phone = models.CharField(max_length=16)
    text = models.TextField()
    at = models.DateTimeField()
    provider = models.CharField(max_length=16)  # slug of the provider that reported it
    key = models.CharField(max_length=64, unique=True)  # a provider may report the same reply again

    class Meta:
        indexes: ClassVar = [models.Index(fields=["phone", "id"], name="reply_phone")]

    def __str__(self) -> str:
        return f"reply {self.pk}"

    @property
    def may_refuse(self) -> bool:
        """True if the reply looks like a refusal that was not obeyed: staff decide."""
        return refusals.verdict_of(self.text) == refusals.RefusalVerdict.MAYBE


class AuditEvent(models.Model):
    """Who did what. Rows are only ever added. `what` is a word of the code, `target` what it was
    done to.
    """

    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    what = models.CharField(max_length=40)
    target = models.CharField(max_length=80, blank=True)  # "mailing 5", "account smsc"
    details = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [models.Index(fields=["target", "id"], name="audit_target")]

    def __str__(self) -> str:
        return f"{self.what} {self.target}"


def audit(by: User | None, what: str, target: str = "", **details: Any) -> None:
    """Record who did what. Details must not hold phones, texts or secrets."""
    AuditEvent.objects.create(by=by, what=what, target=target, details=details)
