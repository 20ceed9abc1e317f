"""CHANGELOG.md names the version, and everything that tells a version reads it there."""

import fnmatch
import re
import tomllib
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import Client

from smsmail import version
from smsmail.backup import making
from tests import factories
from users.models import User

TOP = re.search(
    r"^## (\S+) - \d{4}-\d\d-\d\d$", (settings.BASE_DIR / "CHANGELOG.md").read_text(), re.MULTILINE
)


def test_it_is_the_top_entry_of_the_changelog() -> None:
    assert TOP
    assert TOP[1] == version.VERSION
    assert re.fullmatch(r"\d+\.\d+\.\d+", version.VERSION)


@pytest.mark.parametrize(
    "text", ["", "# Changelog\n", "## Unreleased\n", "## 0.2 - 2026-11-28\n", "## 0.2.0\n"]
)
def test_a_changelog_without_a_version_fails_loudly(tmp_path: Path, text: str) -> None:
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(text)
    with pytest.raises(ImproperlyConfigured, match=r"CHANGELOG\.md"):
        version.read(changelog)


def test_the_newest_entry_counts(tmp_path: Path) -> None:
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text("# Changelog\n\n## 1.10.0 - 2027-01-02\n\n## 1.9.0 - 2027-01-01\n")
    assert version.read(changelog) == "1.10.0"


def test_no_other_file_names_one() -> None:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())
    assert "version" not in project.get("project", {})


def test_the_changelog_is_in_the_image() -> None:
    assert "COPY . ." in (settings.BASE_DIR / "Dockerfile").read_text()
    lines = (settings.BASE_DIR / ".dockerignore").read_text().splitlines()
    kept = False
    for line in lines:  # the last line that matches decides
        if fnmatch.fnmatch("CHANGELOG.md", line.removeprefix("!")):
            kept = line.startswith("!")
    assert kept


@pytest.mark.django_db
def test_the_health_check_tells_it(client: Client) -> None:
    assert client.get("/health/").json() == {"database": "ok", "version": version.VERSION}


@pytest.mark.django_db
def test_the_page_of_services_shows_it(as_: Callable[[User], Client]) -> None:
    page = as_(factories.owner()).get("/settings/integrations/").content.decode()
    assert f"smsmail {version.VERSION}" in page


def test_the_command_prints_it() -> None:
    written = StringIO()
    call_command("about", stdout=written)
    assert written.getvalue().startswith(f"smsmail {version.VERSION}\nDjango ")


def test_a_backup_names_it() -> None:
    assert making.version().startswith(f"{version.VERSION} (Django ")
