"""The cache where there is no Redis: files that all processes of a machine share, that nobody else reads,
and that no page needs.
"""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from integrations.reasons import Reason
from mailings.audience import backtest, funnel
from mailings.audience.spec import AudienceSpec
from mailings.models import Mailing
from smsmail.web.cache import Files
from tests import factories
from tests.crash.servers import Redis
from tests.mailings import mailing_factories
from users.models import User

ROOT = Path(__file__).parents[3]
VALUES = [0, -7, 2.5, "", "Привет", None, True, [1, [2, 3]], {"Europe/Moscow": 5, "": 1}]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "data" / "cache"), {})


def run(data: Path, code: str) -> str:
    """In another process, with the settings of `make run`."""
    environment = os.environ | {
        "DATA_DIR": str(data),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "DJANGO_SETTINGS_MODULE": "smsmail.settings",
    }
    code = f"import os; os.umask(0); from django.core.cache import cache; {code}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_two_processes_see_one_anothers_entries(tmp_path: Path) -> None:
    run(tmp_path, "cache.set('of-the-first', [1, 'one'], 60)")
    assert (
        run(tmp_path, "print(cache.get('of-the-first')); cache.set('answer', 42)") == "[1, 'one']"
    )
    assert run(tmp_path, "print(cache.get('answer')); cache.clear()") == "42"
    assert run(tmp_path, "print(cache.get('answer'))") == "None"


def test_nobody_else_reads_it_whatever_the_umask(tmp_path: Path) -> None:
    run(tmp_path, "cache.set('key', 'value')")
    folder = tmp_path / "cache"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_a_value_comes_back_as_it_was(files: Files, value: Any) -> None:
    files.set("key", value)
    assert files.get("key", "another") == value
    assert files.get_many(["key", "other"]) == {"key": value}


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", funnel.Funnel(0, {}, 0)])
def test_what_redis_could_not_keep_is_refused_here_too(files: Files, value: Any) -> None:
    with pytest.raises(TypeError):
        files.set("key", value)


def test_an_entry_ends(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.set("soon", 1, 60)
    files.set("never", 2, None)
    files.set("at-once", 3, 0)
    assert files.get("at-once") is None
    assert files.get("soon") == 1
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert files.get("soon") is None
    assert "soon" not in files
    assert files.get("never") == 2


def test_an_entry_is_added_once_counted_and_deleted(files: Files) -> None:
    assert files.add("key", 1)
    assert not files.add("key", 5)
    assert files.incr("key") == 2
    assert files.delete("key")
    assert not files.delete("key")
    assert files.get("key") is None


def test_a_full_cache_begins_anew(tmp_path: Path) -> None:
    files = Files(str(tmp_path / "cache"), {"OPTIONS": {"MAX_ENTRIES": 3}})
    for number in range(4):
        files.set(f"key{number}", number)
    assert [files.get(f"key{number}") for number in range(4)] == [None, None, None, 3]
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize(
    "broken", [b"", b"\0" * 100, b"[1", b"[1]", b"5", b'["x", 1]', b"\xff\xfe"]
)
def test_a_broken_file_is_as_good_as_none(tmp_path: Path, files: Files, broken: bytes) -> None:
    files.set("key", 1)
    for file in (tmp_path / "data" / "cache").iterdir():
        file.write_bytes(broken)
    assert files.get("key", "nothing") == "nothing"
    files.set("key", 2)
    assert files.get("key") == 2


def test_without_its_folder_pages_come_all_the_same(
    settings: Any, tmp_path: Path, as_: Callable[[User], Client], manager: User
) -> None:
    """A file in the place of its folder, as a disk that is full or not there would be."""
    (tmp_path / "cache").touch()
    settings.CACHES = {
        "default": {"BACKEND": "smsmail.web.cache.Files", "LOCATION": str(tmp_path / "cache")}
    }
    draft = mailing_factories.draft()
    cache.set("key", 1)
    assert cache.get("key") is None
    assert not cache.delete("key")
    cache.clear()
    assert as_(manager).get(f"/mailings/{draft.pk}/").status_code == 200


# --- what is kept ------------------------------------------------------------------------------
def is_remembered(mailing: Mailing) -> None:
    """A funnel with all it may hold, and an estimate."""
    spec = replace(AudienceSpec.of(mailing), typed=True)
    first = funnel.recent(spec)
    days = backtest.estimate(spec)
    factories.person("late", phone="+79980000099")
    assert first.excluded
    assert funnel.recent(spec) == first
    assert backtest.estimate(spec) == days
    cache.clear()
    assert funnel.recent(spec).will_receive == first.will_receive + 1
    assert backtest.estimate(spec).now == days.now + 1


def test_figures_are_remembered_in_files(manager: User, student: User) -> None:
    is_remembered(mailing_factories.draft())


@pytest.fixture
def in_redis(settings: Any) -> Iterator[None]:
    with Redis() as server:
        settings.CACHES = {
            "default": {
                "BACKEND": "smsmail.web.cache.Redis",
                "LOCATION": server.url,
                "OPTIONS": {"serializer": "smsmail.web.cache.Plain"},
            }
        }
        yield


@pytest.mark.broker
def test_figures_are_remembered_in_redis(in_redis: None, manager: User, student: User) -> None:
    is_remembered(mailing_factories.draft())


@pytest.mark.broker
def test_pages_with_figures_open_with_redis(
    in_redis: None, as_: Callable[[User], Client], manager: User, student: User
) -> None:
    draft = mailing_factories.draft(when=Mailing.When.ON_ENTRY)
    browser = as_(manager)
    for page in ("", "edit/", "audience/", "foresight/"):
        for _again in range(2):
            assert browser.get(f"/mailings/{draft.pk}/{page}").status_code == 200


def test_a_funnel_is_read_back_with_its_moment_and_its_trouble(db: None) -> None:
    now = timezone.now()
    for made in (
        funnel.Funnel(0, {}, 0, trouble="Why not"),
        funnel.Funnel(3, {Reason.NO_PHONE: 2, Reason.SAME_PHONE: 1}, 0, at=now),
    ):
        found = funnel.Funnel.from_json(made.as_json())
        assert found == made
        assert found.at == made.at
