"""Creates Link rows at launch, which count their clicks, and maps link positions to target URLs.
redirect.py records the clicks.
"""

from mailings.models import Link, Mailing
from mailings.text import template
from mailings.text import wrapping as links


def write_down(mailing: Mailing) -> None:
    """Create a Link for each URL that is shortened and has none yet. Call it in the transaction of the
    launch, or of a change to a notification.
    """
    wrapping = mailing.wrapping
    Link.objects.bulk_create(
        Link(mailing=mailing, position=place.position, url=place.url)
        for place in links.wrap(mailing.text, wrapping).places
        if place.purpose is not None and place.url not in wrapping.known
    )


def of(mailing: Mailing) -> dict[int, str]:
    """Map link positions to URLs as written. The links of a draft follow its text; the rows created at
    launch never change, and take precedence.
    """
    try:
        places = links.wrap(mailing.text, mailing.wrapping).places
    except template.BadText:
        places = ()
    written = mailing.links.values_list("position", "url")
    return {place.position: place.url for place in places} | dict(written)
