"""From the penetration test (security.md, S3): keys that can be changed, files that nobody else reads,
and what the image and its composition leave open.
"""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
import yaml
from cryptography.fernet import Fernet
from django.conf import settings as current
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from twilio.request_validator import RequestValidator

from integrations.models import Account, Receipt
from integrations.routing import routing
from integrations.webhooks import keys
from tests import factories
from tests.processes import ROOT
from users.models import AuditEvent, User

As = Callable[[User], Client]


@pytest.fixture(autouse=True)
def in_english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


# --- the key of the receipt webhook -------------------------------------------------------------------
def reports(client: Client, key: str) -> int:
    return client.post(
        f"/hooks/smsc/{key}/", "id=1&phone=79980000001&status=1", content_type="text/plain"
    ).status_code


@pytest.mark.django_db
def test_a_new_key_is_good_at_once_and_the_old_one_for_a_while(
    client: Client, as_: As, owner: User
) -> None:
    first = factories.smsc().receipt_key
    page = "/settings/integrations/smsc/address/"
    browser = as_(owner)
    assert "Make a new address" in browser.get(page).content.decode()
    assert Account.objects.get().receipt_key == first
    browser.post(page)
    second = Account.objects.get().receipt_key
    assert second != first
    shown = browser.get("/settings/integrations/smsc/").content.decode()
    assert second in shown
    assert first not in shown
    assert "still works until" in shown
    assert [reports(client, key) for key in (first, second, first + "x")] == [200, 200, 404]
    assert Receipt.objects.count() == 2
    with time_machine.travel(timezone.now() + keys.GRACE + timedelta(minutes=1)):
        assert [reports(client, key) for key in (first, second)] == [404, 200]
    assert AuditEvent.objects.get(what="receipt_key_renewed").target == "account smsc"
    assert keys.GRACE.total_seconds() > current.RECEIPT_WAIT


@pytest.mark.django_db
def test_the_old_one_can_be_ended_and_the_one_before_it_ends_by_itself(
    client: Client, as_: As, owner: User
) -> None:
    first = factories.smsc().receipt_key
    second = keys.renew(Account.objects.get(), owner).receipt_key
    third = keys.renew(Account.objects.get(), owner).receipt_key
    assert [reports(client, key) for key in (first, second, third)] == [404, 200, 200]
    as_(owner).post("/settings/integrations/smsc/address/end/")
    assert [reports(client, key) for key in (first, second, third)] == [404, 404, 200]
    assert AuditEvent.objects.filter(what="receipt_key_ended").count() == 1


@pytest.mark.django_db
def test_a_signature_over_the_old_address_is_believed(client: Client, settings: Any) -> None:
    """Twilio signs the address that the message carried."""
    settings.PUBLIC_URL = "https://sms.example.com"
    account = factories.twilio()
    old = routing.called_url(account)
    keys.renew(account, None)
    fields = {"MessageSid": "SM" + "0" * 32, "MessageStatus": "delivered"}
    signed = RequestValidator("made-up-token").compute_signature(old, fields)
    path = old.removeprefix("https://sms.example.com")
    answers = [
        client.post(
            path,
            urlencode(fields),
            content_type="application/x-www-form-urlencoded",
            headers={"x-twilio-signature": each},
        ).status_code
        for each in (signed, "wrong")
    ]
    assert answers[0] in {200, 204}
    assert answers[1] == 403


# --- FIELD_KEYS --------------------------------------------------------------------------------------
def rewritten() -> str:
    said = StringIO()
    call_command("rewrite_secrets", stdout=said)
    return said.getvalue()


def written() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM integrations_account ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.django_db
def test_old_keys_can_be_retired(settings: Any) -> None:
    oldest, older, new = (Fernet.generate_key().decode() for _ in range(3))
    settings.FIELD_KEYS = [oldest]
    factories.smsc(credentials={"login": "school", "password": "one"})
    settings.FIELD_KEYS = [older, oldest]
    factories.twilio()
    Account.objects.create(provider="simulator", credentials={})  # nothing to encrypt
    settings.FIELD_KEYS = [new, older, oldest]
    factories.seventech(credentials={"login": "school", "password": "kept"})
    before = written()

    said = rewritten()

    assert "integrations.account.credentials: 2 rewritten, 0 cannot be read" in said
    assert "2 others in FIELD_KEYS are needed no more" in said
    assert written()[3] == before[3]  # under the new one already
    settings.FIELD_KEYS = [new]
    assert Account.objects.get(provider="smsc").credentials["password"] == "one"
    assert Account.objects.get(provider="simulator").credentials == {}
    assert "no more" not in rewritten()


@pytest.mark.django_db
def test_no_key_is_called_unneeded_while_something_needs_another(settings: Any) -> None:
    lost, old, new = (Fernet.generate_key().decode() for _ in range(3))
    settings.FIELD_KEYS = [lost]
    factories.smsc()
    settings.FIELD_KEYS = [old]
    factories.twilio()
    settings.FIELD_KEYS = [new, old]
    with pytest.raises(CommandError, match="1 values are not under the first key"):
        rewritten()
    settings.FIELD_KEYS = [new]
    assert Account.objects.get(provider="twilio").credentials["auth_token"] == "made-up-token"


# --- files -----------------------------------------------------------------------------------------
def test_nobody_else_reads_the_files_of_the_embedded_shape(tmp_path: Path) -> None:
    """Whatever the umask, in a folder that was there before, and files of an older version."""
    tmp_path.chmod(0o755)
    for name in ("smsmail.sqlite3", "secret.key"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    (tmp_path / "secret.key").write_text("made-up-" * 8)
    look = (
        "import os; os.umask(0)\n"
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('migrate', verbosity=0)\n"
        "from users.models import User\n"
        "User.objects.create(email='a@example.com')\n"
        "for name in sorted(os.listdir(os.environ['DATA_DIR'])):\n"
        "    print(name, oct(os.stat(os.path.join(os.environ['DATA_DIR'], name)).st_mode & 0o777))\n"
    )
    empty = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FIELD_KEYS"), "")
    environment = os.environ | empty | {"DATA_DIR": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "smsmail.settings"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    modes = dict(line.split() for line in done.stdout.splitlines())
    assert {"smsmail.sqlite3", "smsmail.sqlite3-wal", "smsmail.sqlite3-shm"} < modes.keys()
    assert {"secret.key", "field.key"} < modes.keys()
    assert set(modes.values()) == {"0o600"}
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755  # the folder is its owner's


# --- cookies ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("address", "prefix"), [("https://sms.example.com", "__Host-"), ("http://127.0.0.1:8000", "")]
)
def test_over_tls_no_sister_host_can_plant_a_cookie(
    tmp_path: Path, address: str, prefix: str
) -> None:
    look = (
        "import django; django.setup()\n"
        "from django.core.management import call_command; call_command('migrate', verbosity=0)\n"
        "from django.test import Client\n"
        "for cookie in Client().get('/sign-in/', headers={'host': 'localhost'}).cookies.values():\n"
        "    print(cookie.OutputString())\n"
        "from django.conf import settings; print(settings.SESSION_COOKIE_NAME)\n"
        "from mailings.tracking import sign_in; print(sign_in.COOKIE)\n"
        "from users.access import sign_in_limits; print(sign_in_limits.COOKIE)\n"
    )
    empty = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FIELD_KEYS"), "")
    environment = os.environ | empty | {"DATA_DIR": str(tmp_path), "PUBLIC_URL": address}
    environment["DJANGO_SETTINGS_MODULE"] = "smsmail.settings"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    csrf, session, ticket, device = done.stdout.splitlines()
    assert csrf.startswith(f"{prefix}csrftoken=")
    assert ("Secure" in csrf) is bool(prefix)
    assert "Path=/" in csrf
    assert "Domain" not in csrf
    assert [session, ticket, device] == [
        f"{prefix}{name}" for name in ("sessionid", "link-ticket", "known-device")
    ]


# --- the composition ---------------------------------------------------------------------------------
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
NETWORKS = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["networks"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 256
    if name != "db":
        assert service["read_only"]
        assert service["mem_limit"]


def test_nobody_outside_reaches_the_database_or_redis() -> None:
    for name in ("db", "redis"):
        assert SERVICES[name]["networks"] == ["inside"]
        assert "ports" not in SERVICES[name]
    assert NETWORKS["inside"]["internal"] is True
    assert SERVICES["web"]["ports"] == ["127.0.0.1:${PORT:-8000}:8000"]


def test_one_address_is_believed_to_be_a_proxy() -> None:
    (config,) = NETWORKS["outside"]["ipam"]["config"]
    assert SERVICES["web"]["environment"]["TRUSTED_PROXIES"].endswith(f":-{config['gateway']}}}")


def test_what_runs_brings_no_test_runner() -> None:
    run, named = ((ROOT / f"requirements{end}.txt").read_text() for end in ("-run", ""))
    assert "pytest" not in run
    # What people ask for by name.
    for name in ("django", "celery", "redis", "requests", "django-environ", "pytest-django"):
        assert f"\n{name}==" in named
    for file in ("Dockerfile", "Makefile", ".dockerignore"):
        assert "requirements-run.txt" in (ROOT / file).read_text()
