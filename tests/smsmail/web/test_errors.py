"""The health check, and pages for when something is wrong."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet
from django.template.loader import render_to_string
from django.test import Client

from smsmail.version import VERSION
from users.models import User

ASK = """
import django; django.setup()
from django.test import Client
response = Client().get("/health/", headers={"host": "localhost"})
print(response.status_code, response.json()["database"])
"""


@pytest.mark.django_db
def test_the_health_check_is_open_to_all(client: Client) -> None:
    response = client.get("/health/")
    assert (response.status_code, response.json()) == (
        200,
        {"database": "ok", "version": VERSION},
    )


def test_the_health_check_says_when_the_database_is_away() -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "smsmail.settings",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",  # nobody listens at port 1
        "SECRET_KEY": "made-up",
        "FIELD_KEYS": Fernet.generate_key().decode(),
    }
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, timeout=60
    )
    assert asked.stdout.strip() == "503 away", asked.stderr


def test_errors_look_like_the_product(
    as_: Callable[[User], Client], employee: User, settings: object
) -> None:
    missing, forbidden = as_(employee).get("/nothing/"), as_(employee).get("/mailings/")
    assert (missing.status_code, forbidden.status_code) == (404, 403)
    for page in (missing, forbidden):
        assert b'class="brand"' in page.content
        assert b'href="/me/"' in page.content  # the menu is there to go on


@pytest.mark.django_db
def test_an_old_form_is_explained() -> None:
    page = Client(enforce_csrf_checks=True).post("/sign-in/", {"username": "a", "password": "b"})
    assert page.status_code == 403
    assert b'class="brand"' in page.content


@pytest.mark.parametrize("name", ["400.html", "500.html"])
def test_the_last_resort_needs_neither_request_nor_database(name: str) -> None:
    assert 'class="brand"' in render_to_string(name)
