"""The choice whether a mailing on entry is for those too who are there already."""

from typing import Any

import pytest
from django import forms
from django.template.loader import render_to_string

from mailings.composing.entry_form import present_too_field
from mailings.models import Mailing
from tests.mailings import mailing_factories

pytestmark = pytest.mark.django_db


class Form(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    present_too = present_too_field()

    class Meta:
        model = Mailing
        fields = ("name", "present_too")


@pytest.mark.parametrize(
    ("data", "stored", "saved"),
    [
        ({"present_too": "True"}, False, True),
        ({"present_too": "False"}, True, False),
        ({"present_too": ""}, True, True),
        ({}, True, True),
    ],
)
def test_what_is_chosen_is_saved(data: dict[str, str], stored: bool, saved: bool) -> None:
    draft = mailing_factories.draft(present_too=stored)
    form = Form({"name": "Webinar", **data}, instance=draft)
    assert form.is_valid()
    form.save()
    draft.refresh_from_db()
    assert draft.present_too is saved


def test_nonsense_is_refused() -> None:
    assert not Form(
        {"name": "Webinar", "present_too": "maybe"}, instance=mailing_factories.draft()
    ).is_valid()


@pytest.mark.parametrize("stored", [True, False])
def test_what_is_stored_is_shown(stored: bool, settings: Any) -> None:
    form = Form(instance=mailing_factories.draft(present_too=stored))
    page = render_to_string("mailings/composing/_compose_entry.html", {"form": form})
    checked = [line for line in page.split("<input") if "checked" in line]
    assert len(checked) == 1
    assert f'value="{stored}"' in checked[0]


def test_a_new_draft_is_for_those_too() -> None:
    page = render_to_string("mailings/composing/_compose_entry.html", {"form": Form()})
    assert 'value="True"' in next(line for line in page.split("<input") if "checked" in line)
