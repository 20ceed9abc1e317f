"""Where the short links of a mailing lead: rows written at the launch, or the text of a draft, to which
the links of test messages lead. Who clicked is clicks.py's.
"""

from . import links, text
from .models import Link, Mailing


def write_down(mailing: Mailing) -> None:
    """One row for each address that becomes short and has none yet. In the transaction of the launch,
    or of a notification's change.
    """
    wrapping = mailing.wrapping
    Link.objects.bulk_create(
        Link(mailing=mailing, position=place.position, url=place.url)
        for place in links.wrap(mailing.text, wrapping).places
        if place.purpose is not None and place.url not in wrapping.known
    )


def of(mailing_id: int) -> dict[int, str]:
    """Position -> address as written. Those of a draft change with its text."""
    written = dict(Link.objects.filter(mailing_id=mailing_id).values_list("position", "url"))
    if written:
        return written
    draft = Mailing.objects.filter(id=mailing_id).first()
    if draft is None:
        return {}
    try:
        places = links.wrap(draft.text, draft.wrapping).places
    except text.BadText:
        return {}
    return {place.position: place.url for place in places}
