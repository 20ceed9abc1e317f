"""A list whose address asks for something unknown shows nobody and says so (pages.md: recipients of
?status=nonsense were everybody, without a word): every list of the product.
"""

from collections.abc import Callable

import pytest
from django.test import Client

from mailings.sending import prepare
from tests import factories
from tests.mailings import mailing_factories
from users.models import Group, Segment, User

pytestmark = pytest.mark.django_db(transaction=True)

As = Callable[[User], Client]
PERSON = "Student0"
UNKNOWN = [
    *("/people/?role=boss", "/people/?only=rich", "/people/?group=abc", "/people/?group=999999"),
    *("/people/?group=99999999999999999999", "/people/?role=student&only=y", "/people/?q=S&role=x"),
    "/people/?role=STUDENT",
    *("/mailings/?state=nonsense", "/mailings/?state=done", "/mailings/?state=Draft"),
    *(
        "/mailings/{sent}/recipients/?status=nonsense",
        "/mailings/{sent}/recipients/?status=Waiting",
    ),
    *("/mailings/{sent}/recipients/?category=all", "/mailings/{sent}/recipients/?reason=none"),
    *("/mailings/{sent}/recipients/?link=first", "/mailings/{sent}/recipients/?link=-1"),
    *("/mailings/{sent}/recipients/?clicked=yes", "/mailings/{sent}/recipients/?q=7998&status=x"),
    "/mailings/{draft}/audience/?reason=nonsense",
    "/mailings/{sent}/audience/?reason=nonsense",  # goes on to the recipients
]
NO_PLACE = [
    *("/people/?before=x", "/people/?before=-1", "/people/?before=99999999999999999999"),
    *("/mailings/?before=x", "/mailings/{sent}/recipients/?before=1.5"),
    *("/mailings/{draft}/audience/?before=x", "/me/messages/?before=x"),
    *(
        "/segments/?page=x",
        "/segments/?page=0",
        "/segments/?page=99",
        "/segments/{segment}/?before=x",
    ),
]
KNOWN = [
    *("/people/?role=&only=&group=&q=", "/people/?role=student", "/people/?group={group}"),
    *("/mailings/?state=&q=", "/mailings/?state=running", "/mailings/?state=draft"),
    "/mailings/{sent}/recipients/?status=&reason=&clicked=&link=&q=",
    *("/mailings/{sent}/recipients/?status=waiting", "/mailings/{draft}/audience/?reason="),
    *("/segments/?page=", "/segments/?page=1", "/segments/{segment}/?before="),
]


@pytest.fixture
def client(owner: User, as_: As) -> Client:
    User.objects.filter(pk=owner.pk).update(language="en", phone="+79980099999")
    factories.simulator()
    factories.working()
    return as_(owner)


@pytest.fixture
def here(client: Client, owner: User) -> Callable[[str], str]:
    students = factories.students(3)
    group = Group.objects.create(name="Course")
    mailing_factories.join(group, *students)
    rule = {"all": [{"field": "role", "op": "is", "value": "student"}]}
    segment = Segment.objects.create(name="Students", rule=rule)
    sent, draft = (
        mailing_factories.launched(owner, name="Gone"),
        mailing_factories.draft(name="Written"),
    )
    while prepare.prepare_some(sent.pk):
        pass
    ids = {"sent": sent.pk, "draft": draft.pk, "group": group.pk, "segment": segment.pk}
    return lambda address: address.format(**ids)


@pytest.mark.parametrize("address", UNKNOWN)
def test_an_unknown_filter_finds_nobody_and_says_so(
    address: str, client: Client, here: Callable[[str], str]
) -> None:
    answer = client.get(here(address), follow=True)
    page = answer.content.decode().partition("<h1>")[2]
    assert answer.status_code == 200
    assert "There is no such filter" in page
    assert "<tbody>" not in page
    assert PERSON not in page


@pytest.mark.parametrize("address", NO_PLACE)
def test_nonsense_instead_of_a_place_in_the_list_is_no_page(
    address: str, client: Client, here: Callable[[str], str]
) -> None:
    assert client.get(here(address)).status_code == 404


@pytest.mark.parametrize("address", KNOWN)
def test_what_forms_and_links_send_is_known(
    address: str, client: Client, here: Callable[[str], str]
) -> None:
    answer = client.get(here(address))
    assert answer.status_code == 200
    assert "There is no such filter" not in answer.content.decode()
