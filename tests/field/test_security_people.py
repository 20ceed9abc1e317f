"""Staff by the back webhook: what an attack with the source at hand did (security.md, S1), step by step.
Whoever made a password, or was signed in, before somebody rose must have nothing of it.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import factories
from tests.factories import PASSWORD
from users.access import link_sessions, staff
from users.models import AuditEvent, PasswordLink, User
from users.rights import Right, Role

pytestmark = pytest.mark.django_db
OWN = "a password of one's own"


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture
def editor() -> User:
    return factories.person("gleb", role=Role.EMPLOYEE, rights=[str(Right.EDIT_PEOPLE)])


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def by_password(person: User, password: str) -> Client | None:
    client = Client()
    answer = client.post("/sign-in/", {"username": person.email, "password": password})
    return client if answer.status_code == 302 else None


def password_given(by: User, person: User) -> str:
    page = signed_in(by).post(f"/people/{person.pk}/password/")
    return str(page.context["password"])


def raised(by: User, person: User, role: Role) -> Any:
    return signed_in(by).post(f"/people/{person.pk}/role/", {"role": role.value})


def changed(client: Client, old: str, new: str) -> Any:
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/me/password/", form)


def path_of(page: Any) -> str:
    token: str = page.context["link"].address.rpartition("/password/")[2]
    return f"/password/{token}"


def set_by_link(path: str, password: str = OWN) -> Any:
    return Client().post(path, {"new_password1": password, "new_password2": password})


# --- riding up ------------------------------------------------------------------------------------
@pytest.mark.parametrize("changes_it", [False, True])
@pytest.mark.parametrize("role", [Role.EMPLOYEE, Role.ADMINISTRATOR, Role.OWNER])
def test_whoever_set_a_students_password_does_not_ride_up_with_them(
    editor: User, owner: User, student: User, role: Role, changes_it: bool
) -> None:
    password = password_given(editor, student)
    rider = by_password(student, password)
    assert rider is not None
    if changes_it:
        # As the person is asked to: the new one is the rider's all the same.
        assert changed(rider, password, OWN).status_code == 302
        assert rider.get("/me/").status_code == 200
    page = raised(owner, student, role)
    assert page.status_code == 200
    assert rider.get("/me/").status_code == 302
    assert rider.get("/people/").status_code == 302
    assert by_password(student, password) is None
    assert by_password(student, OWN) is None


def test_not_even_when_the_owner_gave_the_password(owner: User, student: User) -> None:
    password = password_given(owner, student)
    raised(owner, student, Role.EMPLOYEE)
    assert by_password(student, password) is None


def test_nor_by_one_more_right(administrator: User, owner: User, employee: User) -> None:
    """An administrator gives an employee a password, and the owner makes the employee more."""
    rider = by_password(employee, password := password_given(administrator, employee))
    assert rider is not None
    changed(rider, password, OWN)
    page = raised(owner, employee, Role.ADMINISTRATOR)
    assert "link" in page.context
    set_by_link(path_of(page), OWN)
    fresh = by_password(employee, OWN)
    assert fresh is not None
    ticked = {"rights": [Right.ACCOUNT.value]}
    answer = signed_in(owner).post(f"/people/{employee.pk}/rights/", ticked)
    # The owner gave that link: what came by it could do all this anyway.
    assert answer.status_code == 302
    assert fresh.get("/people/").status_code == 302
    assert rider.get("/people/").status_code == 302
    assert by_password(employee, OWN) is not None


def test_a_right_given_by_a_granter_ends_sessions_too(employee: User) -> None:
    rights = [Right.SEE_PEOPLE, Right.GRANT_RIGHTS, Right.SEE_MAILINGS]
    granter = factories.person("gera", role=Role.EMPLOYEE, rights=[str(each) for each in rights])
    session = signed_in(employee)
    assert session.get("/me/").status_code == 200
    page = signed_in(granter).post(
        f"/people/{employee.pk}/rights/", {"rights": [Right.SEE_MAILINGS.value]}
    )
    assert path_of(page)
    assert session.get("/me/").status_code == 302
    assert by_password(employee, PASSWORD) is None


def test_what_takes_rights_away_leaves_the_password(owner: User, manager: User) -> None:
    staff.change_rights(manager, [], owner)
    staff.change_role(manager, Role.STUDENT, owner)
    assert by_password(manager, PASSWORD) is not None


def test_a_session_of_before_does_not_come_back_with_the_access(owner: User, student: User) -> None:
    session = signed_in(student)
    assert session.get("/me/").status_code == 200
    for active in (False, True):
        staff.change_access(student, active=active, by=owner)
    assert session.get("/me/").status_code == 302


def test_links_of_sms_sent_before_the_rise_never_sign_in_again(owner: User, student: User) -> None:
    staff.change_role(student, Role.EMPLOYEE, owner)
    staff.change_role(User.objects.get(pk=student.pk), Role.STUDENT, owner)
    student.refresh_from_db()
    assert link_sessions.revoked(student, "mailing 5", timezone.now() - timedelta(hours=1))


def test_a_form_that_was_open_brings_nothing_back(owner: User, employee: User) -> None:
    """What one's own page saves is what was typed there: not the role that it was loaded with."""
    from users.people.forms import ProfileForm

    stale = User.objects.get(pk=employee.pk)
    form = ProfileForm({"first_name": "Yegor", "language": "", "time_zone": ""}, instance=stale)
    staff.change_role(employee, Role.STUDENT, owner)
    assert form.is_valid()
    form.save()
    fresh = User.objects.get(pk=employee.pk)
    assert (fresh.first_name, fresh.role) == ("Yegor", Role.STUDENT)


# --- the link -----------------------------------------------------------------------------------
def test_the_link_sets_a_password_once(owner: User, student: User) -> None:
    path = path_of(raised(owner, student, Role.EMPLOYEE))
    for _ in range(3):  # a look, of a scanner for instance, uses nothing up
        assert Client().get(path).status_code == 200
    weak = set_by_link(path, "12345678")
    assert weak.status_code == 200
    assert weak.context["form"].errors
    assert set_by_link(path)["Location"] == "/sign-in/"
    assert by_password(student, OWN) is not None
    again = set_by_link(path, "quite another one 1")
    assert again.status_code == 410
    assert "no longer works" in again.content.decode()
    assert by_password(student, OWN) is not None
    assert AuditEvent.objects.get(what="password_set").by == student


def test_the_link_is_in_one_answer_and_nowhere_else(owner: User, student: User) -> None:
    page = raised(owner, student, Role.EMPLOYEE)
    path = path_of(page)
    token = path.strip("/").rpartition("/")[2]
    assert page["Cache-Control"].count("no-store")
    assert PasswordLink.objects.get().digest != token
    assert token not in str(list(AuditEvent.objects.values()))
    assert token not in signed_in(owner).get(f"/people/{student.pk}/").content.decode()


@pytest.mark.parametrize("how", ["expired", "another rise", "a password", "no access", "a link"])
def test_the_link_is_void_when(how: str, owner: User, student: User) -> None:
    path = path_of(raised(owner, student, Role.EMPLOYEE))
    match how:
        case "expired":
            PasswordLink.objects.update(made_at=timezone.now() - timedelta(days=3, minutes=1))
        case "another rise":
            staff.change_role(student, Role.ADMINISTRATOR, owner)
        case "a password":
            staff.give_password(student, owner)
        case "no access":
            staff.change_access(student, active=False, by=owner)
            staff.change_access(student, active=True, by=owner)
        case "a link":
            staff.give_link(student, owner)
    assert Client().get(path).status_code == 410
    assert set_by_link(path).status_code == 410
    assert by_password(student, OWN) is None


@pytest.mark.parametrize("token", ["a", "x" * 300, "%00", "п" * 40])
def test_a_made_up_token_is_no_link(token: str, db: None) -> None:
    assert Client().get(f"/password/{token}/").status_code == 410


# --- a password made by somebody else -----------------------------------------------------------
def test_it_opens_nothing_but_the_page_where_it_is_changed(owner: User, manager: User) -> None:
    password = password_given(owner, manager)
    client = by_password(manager, password)
    assert client is not None
    for path in ("/", "/people/", "/me/", "/mailings/new/", "/mailings/"):
        assert client.get(path)["Location"] == "/me/password/", path
    assert client.post("/people/new/", {})["Location"] == "/me/password/"
    fragment = client.post("/segments/count/", {}, headers={"HX-Request": "true"})
    assert fragment["HX-Redirect"] == "/me/password/"
    page = client.get("/me/password/")
    assert "Somebody else has made your password" in page.content.decode()
    assert client.get("/health/").status_code == 200
    assert changed(client, password, password).context["form"].errors
    assert client.get("/people/").status_code == 302
    assert changed(client, password, OWN)["Location"] == "/me/"
    assert client.get("/people/").status_code == 200
    assert AuditEvent.objects.get(what="password_changed").by == manager


def test_one_may_sign_out_instead(owner: User, student: User) -> None:
    client = by_password(student, password_given(owner, student))
    assert client is not None
    assert client.post("/sign-out/")["Location"] == "/sign-in/"


def test_a_session_by_a_link_did_not_come_by_it(owner: User, student: User) -> None:
    password_given(owner, student)
    client = signed_in(User.objects.get(pk=student.pk))
    session = client.session
    session[link_sessions.MARK] = {"source": "mailing 5", "submitted_at": ""}
    session.save()
    assert client.get("/me/").status_code == 200
    assert client.get("/me/password/")["Location"].startswith("/me/prove/")


def test_ones_own_change_ends_ones_other_sessions(manager: User) -> None:
    here, elsewhere = by_password(manager, PASSWORD), by_password(manager, PASSWORD)
    assert here is not None
    assert elsewhere is not None
    changed(here, PASSWORD, OWN)
    assert here.get("/me/").status_code == 200
    assert elsewhere.get("/me/").status_code == 302


def test_a_change_that_was_under_way_when_the_session_ended_changes_nothing(
    owner: User, student: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rise comes between the look at the session and the new password."""
    from users.access.forms import OwnPasswordForm

    client = signed_in(student)
    valid = OwnPasswordForm.is_valid

    def slowly(form: OwnPasswordForm) -> bool:
        said = valid(form)
        staff.change_role(student, Role.ADMINISTRATOR, owner)
        return said

    monkeypatch.setattr(OwnPasswordForm, "is_valid", slowly)
    assert changed(client, PASSWORD, OWN)["Location"] == "/sign-in/"
    assert by_password(student, OWN) is None


# --- people of more rights ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("password", {}),
        ("password-link", {}),
        ("access", {"active": "no"}),
        ("edit", {"email": "mine@example.com"}),
        ("forbid", {}),
        ("allow", {}),
        ("opt-in", {"why": "called"}),
        ("share-phone", {}),
        ("revoke-links", {}),
        ("role", {"role": "student"}),
        ("rights", {"rights": ["see_people"]}),
    ],
)
def test_nothing_is_done_to_somebody_of_more_rights(
    path: str, data: dict[str, str], manager: User
) -> None:
    rights = [Right.SEE_PEOPLE, Right.EDIT_PEOPLE, Right.FORBID_SMS, Right.GRANT_RIGHTS]
    by = factories.person("gleb", role=Role.EMPLOYEE, rights=[str(right) for right in rights])
    User.objects.filter(pk=manager.pk).update(phone="+79980000031")
    before = User.objects.filter(pk=manager.pk).values().get()
    assert signed_in(by).post(f"/people/{manager.pk}/{path}/", data).status_code == 403
    assert User.objects.filter(pk=manager.pk).values().get() == before


# --- who is there, by the number of the page ------------------------------------------------------
POSTS = (
    *("forbid", "allow", "opt-in", "share-phone", "role", "rights", "access"),
    *("password", "password-link", "edit", "revoke-links"),
)


@pytest.mark.only_sqlite
@pytest.mark.parametrize("right", [None, *Right])
@pytest.mark.parametrize("path", POSTS)
def test_whoever_may_not_see_people_learns_of_nobody(
    path: str, right: Right | None, student: User
) -> None:
    """Whoever changes people sees them; all others get one answer, whether there is somebody or not."""
    by = factories.person("gleb", role=Role.EMPLOYEE, rights=[str(right)] if right else [])
    if by.may(Right.SEE_PEOPLE):
        return
    client = signed_in(by)
    answers = []
    for pk in (student.pk, 99999):
        answer = client.post(f"/people/{pk}/{path}/", {"why": "x", "role": "student"})
        then = client.get("/me/").content.decode()
        assert student.name not in answer.content.decode() + then.replace(by.name, "")
        assert student.email not in answer.content.decode() + then
        answers.append((answer.status_code, answer.get("Location")))
    assert answers == [(403, None), (403, None)]


def test_a_try_of_a_notification_tells_nobody_who_there_is(student: User) -> None:
    from mailings.notifications import registry

    factories.simulator()
    welcome = registry.named(registry.WELCOME)
    assert welcome is not None
    rights = [str(Right.SEND_MAILINGS), str(Right.SEE_MAILINGS)]
    by = factories.person("gleb", role=Role.EMPLOYEE, rights=rights)
    said = [
        signed_in(by)
        .post(f"/notifications/{welcome.pk}/try/", {"email": email})
        .context["form"]
        .errors
        for email in (student.email, "nobody@example.com")
    ]
    assert said[0] == said[1]
    assert said[0]
