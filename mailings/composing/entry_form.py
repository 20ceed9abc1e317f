"""The field of the draft form that says whether an on-entry mailing also goes to those who are
under the rule when it begins. It is part of the section "When to send"
(templates/mailings/composing/_compose_entry.html).
"""

from django import forms
from django.utils.translation import gettext_lazy as _


def present_too_field() -> forms.TypedChoiceField:
    """Return the field for a form of Mailing that has "present_too". If a request omits it, the
    answer is yes.
    """
    return forms.TypedChoiceField(
        label=_("Who is under the rule when it begins"),
        choices=[
            ("True", _("Gets it too")),
            ("False", _("Does not get it: only those who come from then on")),
        ],
        coerce=lambda value: value == "True",
        empty_value=True,  # type: ignore[arg-type]  # the stubs know texts only
        required=False,
        initial="True",
        widget=forms.RadioSelect,
    )
