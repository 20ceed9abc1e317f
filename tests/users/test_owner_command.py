"""`manage.py owner`."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from users.models import AuditEvent, User
from users.rights import Role


def made(email: str) -> tuple[User, str]:
    out = StringIO()
    call_command("owner", email, stdout=out)
    return User.objects.get(email=email.lower()), out.getvalue().split()[-1]


@pytest.mark.django_db
def test_it_makes_the_first_owner_who_can_sign_in() -> None:
    owner, password = made("Boss@example.com")
    assert owner.role == Role.OWNER
    assert owner.check_password(password)
    assert AuditEvent.objects.filter(what="owner_made").exists()


def test_it_lets_a_locked_out_person_back_in(employee: User) -> None:
    User.objects.update(is_active=False)
    owner, password = made(employee.email)
    assert owner == employee
    assert owner.is_active
    assert owner.role == Role.OWNER
    assert owner.check_password(password)


@pytest.mark.django_db
def test_it_refuses_what_is_no_address() -> None:
    with pytest.raises(CommandError):
        call_command("owner", "nobody")
