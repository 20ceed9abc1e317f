"""Pages of segments: the editor keeps everything, counts, saves; what is in use stays."""

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.reasons import Reason
from mailings import errors
from mailings.lifecycle import transitions
from mailings.models import Mailing, Message
from mailings.sending import prepare
from tests import factories
from tests.mailings import mailing_factories
from users.models import AuditEvent, Group, Segment, User
from users.segments import rule_editor

pytestmark = pytest.mark.django_db

KAZAN = {"version": 1, "all": [{"field": "city", "op": "is", "value": "Kazan"}]}


@pytest.fixture
def client(manager: User) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(manager, backend="django.contrib.auth.backends.ModelBackend")
    return client


def row(path: str, field: str, op: str = "", value: str = "", value2: str = "") -> dict[str, str]:
    names = {"field": field, "op": op, "value": value, "value2": value2}
    return {f"{path}-{name}": typed for name, typed in names.items()}


def test_a_nested_rule_is_made_saved_and_shown(client: Client) -> None:
    factories.person("anna", city="Kazan", phone="+79980000011")
    factories.person("boris", city="Kazan")
    group = Group.objects.create(name="Evening")
    data = {
        "name": "Kazan evenings", "n-match": "all", "n-size": "2",
        **row("n-0", "city", "is", "Kazan"),
        "n-1-match": "none", "n-1-size": "2",
        **row("n-1-0", "group", "in", str(group.pk)), **row("n-1-1", "phone", "absent"),
    }  # fmt: skip
    counted = client.post("/segments/count/", data)
    assert '<p class="rule-number">1</p>' in counted.content.decode()
    answer = client.post("/segments/new/", data)
    segment = Segment.objects.get(name="Kazan evenings")
    assert answer["Location"] == f"/segments/{segment.pk}/"
    page = client.get(answer["Location"]).content.decode()
    assert "City is “Kazan” and not (Group is in “Evening” or Phone is missing)" in page
    assert ">Anna</a>" in page
    assert ">Boris</a>" not in page
    assert AuditEvent.objects.get(what="segment_added").details["now"] == segment.rule
    # The editor shows again what was saved.
    again = rule_editor.stored(segment.rule)
    assert again.json == segment.rule


def test_the_count_adds_no_row_whatever_button_was_pressed_last(client: Client) -> None:
    factories.person("anna", city="Kazan")
    data = {"n-match": "all", "n-size": "1", **row("n-0", "city", "is", "Kazan")}
    counted = client.post("/segments/count/", data | {"do": "add-row n"})
    assert '<p class="rule-number">1</p>' in counted.content.decode()


def test_a_row_without_a_field_asks_for_one(client: Client) -> None:
    data = {"name": "Half", "n-match": "all", "n-size": "1", **row("n-0", "")}
    page = client.post("/segments/new/", data).content.decode()
    assert "Choose what is asked about." in page
    assert "no longer there" not in page


def test_adding_and_removing_keep_what_was_typed(client: Client) -> None:
    data = {"name": "Half", "n-match": "any", "n-size": "1", **row("n-0", "city", "is", "Ка")}
    page = client.post("/segments/new/", data | {"do": "add-group n"}).content.decode()
    assert 'value="Half"' in page
    assert 'name="n-0-value" value="Ка"' in page
    assert 'name="n-1-1-field"' in page
    page = client.post("/segments/rule/", data | {"do": "remove n-0"}).content.decode()
    assert 'name="n-0-field"' not in page
    assert Segment.objects.count() == 0


def test_an_error_stands_at_its_row(client: Client) -> None:
    data = {"name": "", "n-match": "all", "n-size": "2",
            **row("n-0", "phone", "present"), **row("n-1", "city", "is", "")}  # fmt: skip
    page = client.post("/segments/new/", data).content.decode()
    assert 'id="n-1-error">Type what it is compared with.' in page
    assert 'id="n-0-error"' not in page
    assert Segment.objects.count() == 0


def test_an_outdated_rule_is_shown_and_can_be_repaired(client: Client) -> None:
    gone = {"version": 1, "all": [{"field": "group", "op": "in", "value": "77"}]}
    segment = Segment.objects.create(name="Old", rule=gone)
    assert "no longer there" in client.get(f"/segments/{segment.pk}/").content.decode()
    assert "no longer there" in client.get("/segments/").content.decode()
    assert client.get(f"/segments/{segment.pk}/edit/").status_code == 200
    data = {"segment": str(segment.pk), "name": "Old", "n-match": "all", "n-size": "1"}
    client.post(f"/segments/{segment.pk}/edit/", data | row("n-0", "city", "is", "Kazan"))
    segment.refresh_from_db()
    assert segment.rule == KAZAN


def test_what_is_in_use_stays(client: Client) -> None:
    inner = Segment.objects.create(name="Inner", rule=KAZAN)
    outer = Segment.objects.create(
        name="Outer", rule={"version": 1, "all": [{"segment": inner.pk}]}
    )
    mailing_factories.draft(everyone=False, segment=outer)
    for each in (inner, outer):
        client.post(f"/segments/{each.pk}/delete/")
    assert Segment.objects.count() == 2
    Mailing.objects.all().delete()
    for each in (outer, inner):
        client.post(f"/segments/{each.pk}/delete/")
    assert Segment.objects.count() == 0


def test_a_segment_cannot_be_put_inside_itself(client: Client) -> None:
    inner = Segment.objects.create(name="Inner", rule=KAZAN)
    outer = Segment.objects.create(
        name="Outer", rule={"version": 1, "all": [{"segment": inner.pk}]}
    )
    data = {"segment": str(inner.pk), "name": "Inner", "n-match": "all", "n-size": "1"}
    page = client.post(
        f"/segments/{inner.pk}/edit/", data | row("n-0", "segment", "in", str(outer.pk))
    )
    assert "cannot stand inside itself" in page.content.decode()


def test_a_mailing_goes_to_a_segment_as_it_was_at_launch(client: Client, manager: User) -> None:
    factories.simulator()
    anna = factories.person("anna", city="Kazan", phone="+79980000011")
    factories.person("boris", city="Omsk", phone="+79980000012")
    segment = Segment.objects.create(name="Kazan", rule=KAZAN)
    page = client.get(f"/mailings/new/?segment={segment.pk}").content.decode()
    assert f'<option value="{segment.pk}" selected>Kazan</option>' in page
    said = {"name": "To Kazan", "text": "Hello", "recipients": "segment", "segment": segment.pk}
    client.post("/mailings/new/", said)
    mailing = Mailing.objects.get(name="To Kazan")
    assert "Segment “Kazan”" in client.get(f"/mailings/{mailing.pk}/").content.decode()
    transitions.launch(mailing, manager)
    segment.rule = {"version": 1, "all": [{"field": "city", "op": "is", "value": "Omsk"}]}
    segment.save()
    while prepare.prepare_some(mailing.pk):
        pass
    assert list(Message.objects.values_list("user_id", flat=True)) == [anna.pk]


def test_a_group_deleted_while_the_list_is_drawn_up(manager: User) -> None:
    """The mailing pauses and says why; cancelled, it ends. No worker stumbles over it."""
    factories.simulator()
    factories.student()
    group = Group.objects.create(name="Evening")
    part = {"not": {"field": "group", "op": "in", "value": str(group.pk)}}
    segment = Segment.objects.create(name="Others", rule={"version": 1, "all": [part]})
    mailing, other = (
        mailing_factories.launched(manager, everyone=False, segment=segment) for _ in "ab"
    )
    group.delete()
    transitions.cancel(other, manager)
    assert prepare.prepare_due() is False
    mailing.refresh_from_db()
    other.refresh_from_db()
    assert (mailing.state, mailing.trouble) == ("paused", "bad_rule")
    assert mailing_factories.halts(mailing) == [Reason.BAD_RULE]
    assert other.prepared_at is not None


def test_a_mailing_to_a_segment_that_cannot_be_read(client: Client, manager: User) -> None:
    factories.simulator()
    factories.student()
    segment = Segment.objects.create(name="Old", rule={"version": 9})
    said = {"name": "x", "text": "Hello", "recipients": "segment", "segment": segment.pk}
    page = client.post("/mailings/new/", said).content.decode()
    assert "was not written by this version" in page
    mailing = mailing_factories.draft(everyone=False, segment=segment)
    with pytest.raises(errors.CannotLaunch, match="not written by this version"):
        transitions.launch(mailing, manager)
    assert client.get(f"/mailings/{mailing.pk}/").status_code == 200


names = st.sampled_from(["n", "n-0", "n-0-0", "n-1", "n-x", ""])
ends = st.sampled_from(["match", "size", "field", "op", "value", "value2"])
values = st.sampled_from(
    ["all", "none", "3", "-1", "9" * 30, "city", "is", "segment", "in", "group", "\0", "own:x"]
)


@given(
    st.dictionaries(
        st.builds("{}-{}".format, names, ends), values | st.text(max_size=5), max_size=9
    ),
    values,
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_post_breaks_the_editor(client: Client, data: dict[str, str], do: str) -> None:
    for address in ("/segments/rule/", "/segments/count/", "/segments/new/"):
        assert client.post(address, data | {"do": do, "segment": do}).status_code == 200
