"""What a text would come to: as a real person gets it, in parts, people and money; and which
service would carry it. Reads only.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from integrations import router
from integrations.standing import title_of
from users.models import User

from . import audience, text
from .models import Mailing

FEW = 8


@dataclass(frozen=True, slots=True)
class Preview:
    """body is what the person would get; where the text cannot be understood, as it was typed."""

    body: str
    person: User
    measure: text.Measure
    funnel: audience.Funnel
    price: Decimal  # for everybody, as if all had as many parts; 0 when no price is known
    understood: bool

    @property
    def culprits(self) -> tuple[str, ...]:
        """The few characters that make it Unicode; a text in Cyrillic is Unicode anyway."""
        return self.measure.culprits if len(self.measure.culprits) <= FEW else ()

    @property
    def unicode(self) -> bool:
        return self.measure.encoding is text.Encoding.UCS2


def preview_of(written: str, choice: Mailing | audience.Choice, reader: User) -> Preview:
    """As the first person who would get it; as the reader, while there is nobody."""
    person = audience.sample(choice) or reader
    try:
        values = text.values_of(person.first_name, person.last_name, person.email, person.phone)
        body, understood = text.render(text.parse(written), values), True
    except text.BadText:
        body, understood = written, False
    measure, funnel, account = text.measure(body), audience.funnel(choice), router.current()
    price = account.price if account else Decimal(0)
    return Preview(
        body=body,
        person=person,
        measure=measure,
        funnel=funnel,
        price=price * measure.parts * funnel.will_receive,
        understood=understood,
    )


def service() -> dict[str, Any]:
    """For templates: the account with priority, what keeps it from sending, and who stands in."""
    accounts = router.connected()
    if not accounts:
        return {"account": None, "rest": None}
    account, sender = accounts[0], router.sender_of(accounts)
    return {
        "account": account,
        "service": title_of(account),
        "rest": account.rest_about if router.rests(account) else None,
        "stands_in": title_of(sender) if sender and sender != account else "",
        "low": account.balance_is_low,
    }
