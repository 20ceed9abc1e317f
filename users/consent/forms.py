"""Forms for the code that confirms a phone, and for renewed consent."""

from django import forms
from django.utils.translation import gettext_lazy as _


class CodeForm(forms.Form):
    """The code from the SMS."""

    code = forms.CharField(
        label=_("Code from the SMS"),
        max_length=40,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class OptInForm(forms.Form):
    """How staff know that the owner of a number wants SMS again."""

    why = forms.CharField(
        label=_("How did the owner of the number ask for it?"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
