"""Where the short links of a mailing lead: as its text says, and the rows written at the launch, which
count their clicks. Who clicked is redirect.py's.
"""

from mailings.models import Link, Mailing
from mailings.text import template
from mailings.text import wrapping as links


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


def of(mailing: Mailing) -> dict[int, str]:
    """Position -> address as written. Those of a draft change with its text; the rows of the launch
    stay as they are.
    """
    try:
        places = links.wrap(mailing.text, mailing.wrapping).places
    except template.BadText:
        places = ()
    written = mailing.links.values_list("position", "url")
    return {place.position: place.url for place in places} | dict(written)
