"""The two choices of a draft about its links, in the words of the form."""

from django.utils.translation import gettext_lazy as _

LABELS = {
    "wrap_links": _("Wrap links to count clicks"),
    "links_sign_in": _("Wrap links to sign in"),
}
HELP = {
    "wrap_links": _(
        "Each link becomes a short one of everybody's own, and you see who clicked. Reading the SMS is"
        " not counted, only a click. Write links whole, with http or https: https://домен.ru"
    ),
    "links_sign_in": _(
        "A student who follows a link to this site is in their own account without a password. Such a"
        " link works for ever and any number of times. Employees and administrators are asked for"
        " their password all the same."
    ),
}
