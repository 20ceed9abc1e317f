"""The options of a draft about its links, with their labels and help texts."""

from django import forms
from django.utils.translation import gettext_lazy as _

FOR_EVER = ""
LIFETIMES = [
    (FOR_EVER, _("for ever")),
    (1, _("one day")),
    (7, _("a week")),
    (30, _("30 days")),
    (365, _("a year")),
]
LABELS = {
    "wrap_links": _("Wrap links to count clicks"),
    "links_sign_in": _("Wrap links to sign in"),
    "sign_in_days": _("Sign-in links work for"),
}
HELP = {
    "wrap_links": _(
        "Each link becomes a short one of everybody's own, and you see who clicked. Reading the SMS is"
        " not counted, only a click. Write links whole, with http or https: https://домен.ru"
    ),
    "links_sign_in": _(
        "A student who follows a link to this site is in their own account without a password, any"
        " number of times. Employees and administrators are asked for their password all the same."
    ),
    "sign_in_days": _(
        "Counted from the moment the SMS left. Later the link still leads to its page, which then asks"
        " for the password."
    ),
}


def lifetime_field() -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        label=LABELS["sign_in_days"],
        help_text=HELP["sign_in_days"],
        choices=LIFETIMES,
        coerce=int,
        empty_value=None,
        required=False,
    )
