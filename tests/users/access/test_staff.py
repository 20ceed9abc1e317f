"""Who may change whom."""

import pytest

from tests import factories
from users.access import staff
from users.models import AuditEvent, User
from users.rights import Right, Role

pytestmark = pytest.mark.django_db

GRANTER = [str(right) for right in (Right.SEE_PEOPLE, Right.EDIT_PEOPLE, Right.GRANT_RIGHTS)]


def test_it_lets_each_edit_only_those_below(
    owner: User, administrator: User, manager: User, employee: User, student: User
) -> None:
    everybody = [owner, administrator, manager, employee, student]
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
    owner: User, administrator: User, manager: User, employee: User
) -> None:
    assert staff.roles_for(owner, employee) == list(Role)
    assert staff.roles_for(owner, administrator) == list(Role)
    assert staff.roles_for(administrator, employee) == [Role.EMPLOYEE, Role.STUDENT]
    assert staff.roles_for(administrator, factories.person("boris", role=Role.ADMINISTRATOR)) == []
    assert staff.roles_for(administrator, owner) == []
    assert staff.roles_for(manager, employee) == []


def test_it_lets_nobody_change_their_own_role_or_rights(owner: User, administrator: User) -> None:
    granter = factories.person("gleb", role=Role.EMPLOYEE, rights=GRANTER)
    for person in (owner, administrator, granter):
        assert staff.roles_for(person, person) == []
        assert staff.rights_for(person, person) == []
        with pytest.raises(staff.NotAllowed):
            staff.change_rights(person, [Right.SEND_MAILINGS, Right.ACCOUNT], person)


def test_it_refuses_a_role_that_may_not_be_given(administrator: User, employee: User) -> None:
    with pytest.raises(staff.NotAllowed):
        staff.change_role(employee, Role.ADMINISTRATOR, administrator)
    employee.refresh_from_db()
    assert employee.role == Role.EMPLOYEE


def test_it_takes_ticked_rights_away_with_the_role(owner: User, manager: User) -> None:
    staff.change_role(manager, Role.STUDENT, owner)
    manager.refresh_from_db()
    assert (manager.role, manager.rights) == (Role.STUDENT, [])
    event = AuditEvent.objects.get()
    assert (event.by, event.what, event.target) == (owner, "role_changed", f"user {manager.id}")
    assert event.details == {"was": "employee", "now": "student"}


def test_it_lets_only_the_owner_make_an_administrator_responsible_for_the_account(
    owner: User, administrator: User, employee: User
) -> None:
    boris = factories.person("boris", role=Role.ADMINISTRATOR)
    assert staff.rights_for(owner, administrator) == [Right.ACCOUNT]
    assert staff.rights_for(administrator, boris) == []
    assert Right.ACCOUNT not in staff.rights_for(owner, employee)
    with pytest.raises(staff.NotAllowed):
        staff.change_rights(boris, [Right.ACCOUNT], administrator)
    with pytest.raises(staff.NotAllowed):
        staff.change_rights(employee, [Right.ACCOUNT], owner)
    staff.change_rights(administrator, [Right.ACCOUNT], owner)
    assert User.objects.get(pk=administrator.pk).may(Right.ACCOUNT)


def test_it_lets_nobody_give_a_right_that_they_lack(employee: User, manager: User) -> None:
    granter = factories.person("gleb", role=Role.EMPLOYEE, rights=GRANTER)
    with pytest.raises(staff.NotAllowed):
        staff.change_rights(employee, [Right.SEND_MAILINGS], granter)
    staff.change_rights(employee, [Right.SEE_PEOPLE], granter)
    assert User.objects.get(pk=employee.pk).rights == [Right.SEE_PEOPLE]


def test_it_leaves_people_of_more_rights_alone(manager: User) -> None:
    granter = factories.person("gleb", role=Role.EMPLOYEE, rights=GRANTER)
    had = set(manager.rights)
    assert staff.rights_for(granter, manager) == []
    staff.change_rights(manager, had, granter)
    with pytest.raises(staff.NotAllowed):
        staff.change_rights(manager, [*had, Right.GRANT_RIGHTS], granter)
    assert set(User.objects.get(pk=manager.pk).rights) == had


def test_it_leaves_rights_alone_that_are_not_ones_own_to_give(
    administrator: User, employee: User
) -> None:
    """An administrator ticks all but the account, which an old row may still have."""
    User.objects.filter(pk=employee.pk).update(rights=["account", "see_people"])
    staff.change_rights(employee, [], administrator)
    assert User.objects.get(pk=employee.pk).rights == ["account"]


def test_it_writes_down_which_rights_were_given_and_taken(owner: User, manager: User) -> None:
    kept = [right for right in manager.rights if right != Right.SEE_PEOPLE]
    staff.change_rights(manager, [*kept, Right.GRANT_RIGHTS], owner)
    event, link = AuditEvent.objects.order_by("id")
    assert (event.by, event.what) == (owner, "rights_changed")
    assert event.details == {"given": ["grant_rights"], "taken": ["see_people"]}
    assert (link.by, link.what) == (owner, "password_link_made")
    staff.change_rights(manager, [*kept, Right.GRANT_RIGHTS], owner)
    assert AuditEvent.objects.count() == 2  # nothing changed, nothing written


def test_it_never_loses_the_last_owner(owner: User) -> None:
    second = factories.person("oleg", role=Role.OWNER)
    staff.change_role(owner, Role.EMPLOYEE, second)
    # Both pages were open: olga was an owner when hers was drawn.
    with pytest.raises(staff.NotAllowed):
        staff.change_role(second, Role.EMPLOYEE, owner)
    with pytest.raises(staff.NotAllowed):
        staff.change_access(second, active=False, by=owner)
    second.refresh_from_db()
    assert (second.role, second.is_active) == (Role.OWNER, True)


def test_it_does_not_count_an_owner_who_may_not_sign_in(owner: User) -> None:
    second = factories.person("oleg", role=Role.OWNER)
    staff.change_access(owner, active=False, by=second)
    with pytest.raises(staff.NotAllowed):
        staff.change_role(
            second, Role.STUDENT, factories.person("nina", role=Role.OWNER, is_active=False)
        )


def test_it_lets_nobody_shut_themselves_or_those_above_out(
    owner: User, administrator: User, manager: User, student: User
) -> None:
    for by, person in (
        (administrator, administrator),
        (administrator, owner),
        (manager, administrator),
        (student, manager),
    ):
        with pytest.raises(staff.NotAllowed):
            staff.change_access(person, active=False, by=by)
        with pytest.raises(staff.NotAllowed):
            staff.give_password(person, by)
    staff.change_access(student, active=False, by=manager)
    assert not User.objects.get(pk=student.pk).is_active


def test_it_gives_a_password_that_works(administrator: User, employee: User) -> None:
    password = staff.give_password(employee, administrator)
    assert User.objects.get(pk=employee.pk).check_password(password)
    assert password not in str(AuditEvent.objects.get().details)
