"""The part of the draft form that says when a mailing is sent: right after the launch or on entry,
a scheduled time, how it is submitted, lifetime, first wave, urgency. The rest of the form is in
forms.py.
"""

from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mailings.models import Mailing, Policy
from mailings.sending.timing import NoSuchTime, moment, zone_words

from .entry_form import present_too_field

LONGEST_LIFE = 7 * 24 * 60  # minutes
FIRST_MANY, FIRST_PERCENT = 50, 1


class WhenForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The fields about the time of sending. Those that are missing in a request take the model's defaults."""

    when = forms.ChoiceField(
        label=_("When to send"),
        choices=Mailing.When.choices,
        widget=forms.RadioSelect,
        required=False,
    )
    present_too = present_too_field()
    planned = forms.BooleanField(label=_("Schedule the sending time"), required=False)
    starts_on = forms.DateField(
        label=_("Date"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d", "%d.%m.%Y"],
    )
    starts_time = forms.TimeField(
        label=_("Time"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        input_formats=["%H:%M", "%H:%M:%S"],
    )
    hand_over = forms.ChoiceField(
        label=_("How it gets there in time"),
        choices=Mailing.HandOver.choices,
        widget=forms.RadioSelect,
        required=False,
    )
    valid_minutes = forms.IntegerField(
        label=_("Of no use after, minutes"),
        help_text=_(
            "Counted from the time it is to leave. What has not gone by then does not go; what has "
            "gone is given up by the service. Empty: as long as the service tries, usually a day."
        ),
        required=False,
        min_value=5,
        max_value=LONGEST_LIFE,
    )
    first = forms.ChoiceField(
        label=_("First a few"),
        choices=[
            ("", _("All at once")),
            ("many", _("The first 50, then the rest")),
            ("percent", _("The first 1 %, then the rest")),
        ],
        help_text=_("The rest follows by itself some minutes later, if few of the first fail."),
        required=False,
    )
    error_limit = forms.IntegerField(
        label=_("Errors allowed among the first, %"), required=False, min_value=0, max_value=99
    )
    urgent = forms.BooleanField(
        label=_("Urgent: send in quiet hours too"),
        help_text=_("It will be written down who launched it so."),
        required=False,
    )

    class Meta:
        model = Mailing
        fields: ClassVar[tuple[str, ...]] = (
            *("when", "present_too", "hand_over", "valid_minutes", "error_limit", "urgent"),
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        draft = self.instance
        if draft.starts_at is not None:
            local = timezone.localtime(draft.starts_at)
            self.initial["planned"] = True
            self.initial["starts_on"], self.initial["starts_time"] = local.date(), local.time()
        if draft.first_percent:
            self.initial["first"] = "percent"
        elif draft.first_wave:
            self.initial["first"] = "many"

    def clean_when(self) -> str:
        return self.cleaned_data["when"] or Mailing.When.AT_LAUNCH

    def clean_hand_over(self) -> str:
        return self.cleaned_data["hand_over"] or Mailing.HandOver.EARLY

    def clean_error_limit(self) -> int:
        limit: int | None = self.cleaned_data["error_limit"]
        return int(Mailing._meta.get_field("error_limit").default) if limit is None else limit

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not cleaned.get("planned"):
            self.instance.starts_at = None
        elif "starts_on" in cleaned and "starts_time" in cleaned:
            self._take_time(cleaned)
        if "first" in cleaned:
            first = cleaned["first"]
            self.instance.first_wave = FIRST_MANY if first == "many" else 0
            self.instance.first_percent = FIRST_PERCENT if first == "percent" else 0
        return cleaned

    def _take_time(self, cleaned: dict[str, Any]) -> None:
        day, clock = cleaned["starts_on"], cleaned["starts_time"]
        if day is None:
            self.add_error("starts_on", _("Choose the date."))
        if clock is None:
            self.add_error("starts_time", _("Choose the time."))
        if day is None or clock is None:
            return
        try:
            at = moment(day, clock, timezone.get_current_timezone())
        except (NoSuchTime, OverflowError) as no:
            words = str(no) if isinstance(no, NoSuchTime) else _("There is no such date.")
            self.add_error("starts_time", words)
            return
        if at <= timezone.now():
            self.add_error("starts_time", _("This time has passed."))
        else:
            self.instance.starts_at = at

    @property
    def zone(self) -> str:
        """Return the time zone in which the time is read: the one of all times on this person's
        pages.
        """
        at: datetime = self.instance.starts_at or timezone.now()
        return zone_words(at, timezone.get_current_timezone())

    @property
    def early_hours(self) -> int:
        return Policy.current().early_hours

    @property
    def shows_more(self) -> bool:
        """Return whether a field in the folded part is set, or has an error."""
        folded = ("valid_minutes", "first", "error_limit", "urgent")
        draft = self.instance
        is_set = draft.valid_minutes or draft.first_wave or draft.first_percent or draft.urgent
        return bool(is_set or any(name in self.errors for name in folded if self.is_bound))
