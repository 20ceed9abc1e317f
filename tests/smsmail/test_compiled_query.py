"""What is compiled once gives what the query itself gives, on this database, whatever the values."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from integrations.models import Account, FormerLogin
from smsmail.compiled_query import CompiledQuery, CompiledUpdate
from tests import factories

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def test_rows_are_those_of_the_query() -> None:
    factories.simulator(price=2)
    factories.smsc(cooldown_until=NOW)

    def query(provider: str, since: object) -> object:
        return Account.objects.filter(provider=provider, cooldown_until__gte=since).values_list(
            "id", "price", "cooldown_until", "credentials"
        )

    compiled = CompiledQuery(Account, query)  # type: ignore[arg-type]  # any query
    for provider in ("smsc", "simulator", "it's %s"):
        for since in (NOW, NOW + timedelta(seconds=1), NOW - timedelta(days=400)):
            assert compiled.rows(provider=provider, since=since) == list(query(provider, since))  # type: ignore[call-overload]
    [row] = compiled.rows(provider="smsc", since=NOW)
    assert row[1:3] == (Decimal("2.5"), NOW)
    assert row[3] == Account.objects.get(provider="smsc").credentials != {}


def test_instances_are_those_of_the_query() -> None:
    account = factories.smsc(cooldown_until=NOW)
    compiled = CompiledQuery(Account, lambda key: Account.objects.filter(id=key).order_by("id")[:1])
    [found] = compiled.instances(key=account.pk)
    assert found == account
    account.refresh_from_db()
    assert {f.attname: getattr(found, f.attname) for f in Account._meta.concrete_fields} == {
        f.attname: getattr(account, f.attname) for f in Account._meta.concrete_fields
    }
    assert compiled.instances(key=account.pk + 1) == []
    assert not found._state.adding


def test_an_update_sets_what_it_is_told_and_counts_rows() -> None:
    account, other = factories.smsc(), factories.simulator()
    compiled = CompiledUpdate(
        lambda key, at, raw: (
            Account.objects.filter(id=key),
            {
                "cooldown_until": at,
                "cooldown_raw": raw,
                "failures": F("failures") + 1,
                "proven_at": Coalesce("proven_at", Value(at)),
            },
        ),
        moments=["at"],
    )
    assert compiled.run(key=account.pk, at=None, raw="") == 1
    assert compiled.run(key=account.pk, at=NOW, raw="a'b%s") == 1
    assert compiled.run(key=account.pk, at=None, raw="") == 1
    assert compiled.run(key=0, at=None, raw="") == 0
    account.refresh_from_db()
    other.refresh_from_db()
    assert (account.cooldown_until, account.cooldown_raw, account.failures) == (None, "", 3)
    assert account.proven_at == NOW
    assert (other.failures, other.proven_at) == (0, None)


def test_a_value_that_the_query_does_not_contain_is_an_error() -> None:
    compiled = CompiledQuery(
        Account, lambda key, none: Account.objects.filter(id=key).values_list("id")
    )
    with pytest.raises(LookupError, match="none"):
        compiled.rows(key=1, none=2)
    with pytest.raises(TypeError):
        CompiledQuery(Account, lambda key: Account.objects.filter(id=key)).rows(key=None)
    assert FormerLogin.objects.count() == 0
