"""Who may change whom."""

import pytest

from tests import people
from users.access import staff
from users.models import AuditEvent, User
from users.rights import Right, Role

pytestmark = pytest.mark.django_db

GRANTER = [str(right) for right in (Right.SEE_PEOPLE, Right.EDIT_PEOPLE, Right.GRANT_RIGHTS)]


def test_it_lets_each_edit_only_those_below(
    olga: User, anton: User, maria: User, egor: User, ivan: User
) -> None:
    everybody = [olga, anton, maria, egor, ivan]
    may = {
        by.first_name: [person.first_name for person in everybody if staff.may_edit(by, person)]
        for by in everybody
    }
    assert may == {
        "Olga": ["Olga", "Anton", "Maria", "Egor", "Ivan"],
        "Anton": ["Anton", "Maria", "Egor", "Ivan"],
        "Maria": ["Maria", "Ivan"],
        "Egor": [],
        "Ivan": [],
    }


def test_it_lets_only_the_owner_make_administrators_and_owners(
    olga: User, anton: User, maria: User, egor: User
) -> None:
    assert staff.roles_for(olga, egor) == list(Role)
    assert staff.roles_for(olga, anton) == list(Role)
    assert staff.roles_for(anton, egor) == [Role.EMPLOYEE, Role.STUDENT]
    assert staff.roles_for(anton, people.person("boris", role=Role.ADMINISTRATOR)) == []
    assert staff.roles_for(anton, olga) == []
    assert staff.roles_for(maria, egor) == []


def test_it_lets_nobody_change_their_own_role_or_rights(olga: User, anton: User) -> None:
    granter = people.person("gleb", role=Role.EMPLOYEE, rights=GRANTER)
    for person in (olga, anton, granter):
        assert staff.roles_for(person, person) == []
        assert staff.rights_for(person, person) == []
        with pytest.raises(staff.NotAllowed):
            staff.change_rights(person, [Right.SEND_MAILINGS, Right.ACCOUNT], person)


def test_it_refuses_a_role_that_may_not_be_given(anton: User, egor: User) -> None:
    with pytest.raises(staff.NotAllowed):
        staff.change_role(egor, Role.ADMINISTRATOR, anton)
    egor.refresh_from_db()
    assert egor.role == Role.EMPLOYEE


def test_it_takes_ticked_rights_away_with_the_role(olga: User, maria: User) -> None:
    staff.change_role(maria, Role.STUDENT, olga)
    maria.refresh_from_db()
    assert (maria.role, maria.rights) == (Role.STUDENT, [])
    event = AuditEvent.objects.get()
    assert (event.by, event.what, event.target) == (olga, "role_changed", f"user {maria.id}")
    assert event.details == {"was": "employee", "now": "student"}


def test_it_lets_only_the_owner_make_an_administrator_responsible_for_the_account(
    olga: User, anton: User, egor: User
) -> None:
    boris = people.person("boris", role=Role.ADMINISTRATOR)
    assert staff.rights_for(olga, anton) == [Right.ACCOUNT]
    assert staff.rights_for(anton, boris) == []
    assert Right.ACCOUNT not in staff.rights_for(olga, egor)
    with pytest.raises(staff.NotAllowed):
        staff.change_rights(boris, [Right.ACCOUNT], anton)
    with pytest.raises(staff.NotAllowed):
        staff.change_rights(egor, [Right.ACCOUNT], olga)
    staff.change_rights(anton, [Right.ACCOUNT], olga)
    assert User.objects.get(pk=anton.pk).may(Right.ACCOUNT)


def test_it_lets_nobody_give_a_right_that_they_lack(egor: User, maria: User) -> None:
    granter = people.person("gleb", role=Role.EMPLOYEE, rights=GRANTER)
    with pytest.raises(staff.NotAllowed):
        staff.change_rights(egor, [Right.SEND_MAILINGS], granter)
    staff.change_rights(egor, [Right.SEE_PEOPLE], granter)
    assert User.objects.get(pk=egor.pk).rights == [Right.SEE_PEOPLE]


def test_it_leaves_people_of_more_rights_alone(maria: User) -> None:
    granter = people.person("gleb", role=Role.EMPLOYEE, rights=GRANTER)
    had = set(maria.rights)
    assert staff.rights_for(granter, maria) == []
    staff.change_rights(maria, had, granter)
    with pytest.raises(staff.NotAllowed):
        staff.change_rights(maria, [*had, Right.GRANT_RIGHTS], granter)
    assert set(User.objects.get(pk=maria.pk).rights) == had


def test_it_leaves_rights_alone_that_are_not_ones_own_to_give(anton: User, egor: User) -> None:
    """An administrator ticks all but the account, which an old row may still have."""
    User.objects.filter(pk=egor.pk).update(rights=["account", "see_people"])
    staff.change_rights(egor, [], anton)
    assert User.objects.get(pk=egor.pk).rights == ["account"]


def test_it_writes_down_which_rights_were_given_and_taken(olga: User, maria: User) -> None:
    kept = [right for right in maria.rights if right != Right.SEE_PEOPLE]
    staff.change_rights(maria, [*kept, Right.GRANT_RIGHTS], olga)
    event, link = AuditEvent.objects.order_by("id")
    assert (event.by, event.what) == (olga, "rights_changed")
    assert event.details == {"given": ["grant_rights"], "taken": ["see_people"]}
    assert (link.by, link.what) == (olga, "password_link_made")
    staff.change_rights(maria, [*kept, Right.GRANT_RIGHTS], olga)
    assert AuditEvent.objects.count() == 2  # nothing changed, nothing written


def test_it_never_loses_the_last_owner(olga: User) -> None:
    second = people.person("oleg", role=Role.OWNER)
    staff.change_role(olga, Role.EMPLOYEE, second)
    # Both pages were open: olga was an owner when hers was drawn.
    with pytest.raises(staff.NotAllowed):
        staff.change_role(second, Role.EMPLOYEE, olga)
    with pytest.raises(staff.NotAllowed):
        staff.change_access(second, active=False, by=olga)
    second.refresh_from_db()
    assert (second.role, second.is_active) == (Role.OWNER, True)


def test_it_does_not_count_an_owner_who_may_not_sign_in(olga: User) -> None:
    second = people.person("oleg", role=Role.OWNER)
    staff.change_access(olga, active=False, by=second)
    with pytest.raises(staff.NotAllowed):
        staff.change_role(
            second, Role.STUDENT, people.person("nina", role=Role.OWNER, is_active=False)
        )


def test_it_lets_nobody_shut_themselves_or_those_above_out(
    olga: User, anton: User, maria: User, ivan: User
) -> None:
    for by, person in ((anton, anton), (anton, olga), (maria, anton), (ivan, maria)):
        with pytest.raises(staff.NotAllowed):
            staff.change_access(person, active=False, by=by)
        with pytest.raises(staff.NotAllowed):
            staff.give_password(person, by)
    staff.change_access(ivan, active=False, by=maria)
    assert not User.objects.get(pk=ivan.pk).is_active


def test_it_gives_a_password_that_works(anton: User, egor: User) -> None:
    password = staff.give_password(egor, anton)
    assert User.objects.get(pk=egor.pk).check_password(password)
    assert password not in str(AuditEvent.objects.get().details)
