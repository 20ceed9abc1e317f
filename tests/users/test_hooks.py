"""Hooks: an empty one does without, and mailings fills each of them at start."""

from typing import Any

import pytest

from integrations.routing import logins
from users.access import link_sessions
from users.consent import confirmation, consent
from users.hooks import Hook
from users.people import own_fields, person_created
from users.segments import groups, segments

HOOKS: dict[str, Hook[Any]] = {
    "sender": confirmation.sender,
    "sending": consent.sending,
    "revoked_at_the_source": link_sessions.revoked_at_the_source,
    "fields": own_fields.uses_elsewhere,
    "groups": groups.uses_elsewhere,
    "watching_mailings": segments.watching_mailings,
    "listener": person_created.listener,
    "logins": logins.needed,
}


def test_an_empty_one_does_without() -> None:
    hook: Hook[str] = Hook("nobody")
    assert hook.given == "nobody"


def test_the_last_one_counts() -> None:
    hook: Hook[str] = Hook("nobody")
    hook.fill("first")
    hook.fill("second")
    assert hook.given == "second"


@pytest.mark.parametrize("name", HOOKS)
def test_mailings_has_filled_it(name: str) -> None:
    given = HOOKS[name].given
    functions = given if isinstance(given, tuple) else (given,)
    assert {each.__module__.partition(".")[0] for each in functions} == {"mailings"}
