"""The state of each service: which one sends now, which waits and why, in words for those
responsible. routing.py decides which one sends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from integrations import providers
from integrations.models import Account

from . import cooldown, routing


@dataclass(frozen=True, slots=True)
class Service:
    """One registered service as the pages show it. (Templates would call the class itself.)"""

    slug: str
    title: str
    site: str
    description: str | Promise
    quirk: str | Promise
    has_balance: bool
    callback_is_sent: bool
    account: Account | None  # None if it is not connected
    sends: bool  # True if messages go through it now
    why: str  # '' when it is not connected

    @property
    def rests(self) -> bool:
        return self.account is not None and cooldown.is_on(self.account)

    @property
    def old_address_until(self) -> datetime | None:
        """Return until when reports to the previous URL are accepted; None if they are not."""
        until = self.account.old_receipt_key_until if self.account else None
        return until if until is not None and until > timezone.now() else None

    @property
    def callback(self) -> str:
        return routing.receipt_url(self.account) if self.account else ""


@dataclass(frozen=True, slots=True)
class PriorityPlace:
    """One connected service among the others: everything that its state depends on."""

    title: str
    before: tuple[str, ...] = ()  # titles of services with a higher priority
    sender: str = ""  # title of the service that sends now; '': messages wait
    first_rests: bool = False
    rests: bool = False
    falls_back: bool = False
    is_simulator: bool = False


def services() -> list[Service]:
    """Return every registered service in order of priority, with two queries."""
    accounts = routing.connected()
    sender = routing.sender_of(accounts)
    places = _places(accounts, sender)
    own = {account.provider: account for account in accounts}
    return [
        Service(
            slug=provider.slug,
            title=str(provider.title),
            site=provider.site,
            description=provider.description,
            quirk=provider.quirk,
            has_balance=provider.has_balance,
            callback_is_sent=provider.callback_is_sent,
            account=own.get(provider.slug),
            sends=sender is not None and sender.provider == provider.slug,
            why=why(places[provider.slug]) if provider.slug in places else "",
        )
        for provider in providers.REGISTRY
    ]


def why(place: PriorityPlace) -> str:
    """Say why it sends, or what it waits for and what would change that."""
    words = {"title": place.title, "sender": place.sender, "all": listed(place.before)}
    if not place.before:
        return _of_the_first(place) % words
    words["first"] = place.before[0]
    if place.sender == place.title:
        return (
            _("%(first)s is down: %(title)s sends in its place until %(first)s works again.")
            % words
        )
    instead = _("To send through %(title)s, disconnect %(all)s.")
    return f"{_of_another(place)} {instead}" % words


def _of_the_first(place: PriorityPlace) -> str:
    if not place.rests:
        return _("Everything goes through it: it is the first connected service.")
    if place.sender:
        return _("It has priority but is down: %(sender)s sends in its place until it works again.")
    if place.falls_back:
        return _(
            "It has priority but is down, and no other service can step in: messages wait until it works again."
        )
    return _("It has priority but is down: messages wait until it works again.")


def _of_another(place: PriorityPlace) -> str:
    if place.falls_back and place.is_simulator:
        return _(
            "%(title)s is connected but waits: it only pretends to send and never steps in for a real service."
        )
    if not (place.falls_back and place.first_rests):
        return _("%(title)s is connected but waits: %(first)s has priority.")
    if place.rests:
        return _("%(title)s would step in for %(first)s, but it is down too.")
    return _("%(title)s is connected but waits: %(sender)s sends in place of %(first)s.")


def listed(titles: Sequence[str]) -> str:
    """ "SMSC and Twilio" """
    if len(titles) < 2:
        return "".join(titles)
    return _("%(some)s and %(last)s") % {"some": ", ".join(titles[:-1]), "last": titles[-1]}


def title_of(account: Account) -> str:
    return str(routing.provider_class(account.provider).title)


def _places(accounts: Sequence[Account], sender: Account | None) -> dict[str, PriorityPlace]:
    titles = tuple(title_of(account) for account in accounts)
    falls_back = bool(accounts) and routing.falls_back()
    return {
        account.provider: PriorityPlace(
            title=titles[number],
            before=titles[:number],
            sender=title_of(sender) if sender else "",
            first_rests=cooldown.is_on(accounts[0]),
            rests=cooldown.is_on(account),
            falls_back=falls_back,
            is_simulator=not routing.may_stand_in(account),
        )
        for number, account in enumerate(accounts)
    }
