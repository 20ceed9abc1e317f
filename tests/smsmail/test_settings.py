"""Settings: an empty environment works, nonsense fails loudly, keys are made once and kept private."""

import re
import runpy
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / ".env.example").read_text()
# Every case runs the module anew; the loaded one is not touched.
pytestmark = pytest.mark.filterwarnings("ignore:'smsmail.settings' found in sys.modules")
NAMES = re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE)
PRODUCTION = {
    "DATABASE_URL": "postgres://smsmail:$ecret@127.0.0.1:5432/smsmail",
    "SECRET_KEY": "$a made-up key",
    "FIELD_KEYS": Fernet.generate_key().decode(),
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))


def settings_with(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return runpy.run_module("smsmail.settings")


def test_it_starts_with_an_empty_environment(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": "", "DATA_DIR": str(tmp_path)} | dict.fromkeys(set(NAMES) - {"DATA_DIR"}, ""),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert "no issues" in ended.stdout


def test_the_example_names_every_setting() -> None:
    read = (ROOT / "smsmail" / "settings.py").read_text()
    used = re.findall(r'\b(?:text|words|secret|flag|positive|days)\(\s*"([A-Z_]+)"', read)

    assert set(used) == set(NAMES) - {"POSTGRES_PASSWORD"}


@pytest.mark.parametrize(
    ("name", "nonsense"),
    [
        ("DEBUG", "perhaps"),
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("PUBLIC_URL", "sms.example.com"),
        ("PUBLIC_URL", "https://sms.example.com/path"),
        ("SHORT_URL", "s.example.com"),
        ("SHORT_URL", "https://s.example.com/r"),
        ("TRUSTED_PROXIES", "proxy"),
        ("DATABASE_URL", "mysql://127.0.0.1/smsmail"),
        ("REDIS_URL", "127.0.0.1"),
        ("FIELD_KEYS", "short"),
        ("LANGUAGE_CODE", "xx"),
        ("TIME_ZONE", "Moscow"),
        ("DEFAULT_COUNTRY", "Russia"),
        ("LEASE", "0"),
        ("LEASE", "-5"),
        ("KEEP_MESSAGES_DAYS", "89"),
        ("KEEP_MESSAGES_DAYS", "ninety"),
        ("SECRET_KEY_FILE", "missing"),
    ],
)
def test_nonsense_fails_loudly(monkeypatch: pytest.MonkeyPatch, name: str, nonsense: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=name.removesuffix("_FILE")):
        settings_with(monkeypatch, **{name: nonsense})


def test_it_makes_its_keys_once_and_keeps_them_to_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = settings_with(monkeypatch), settings_with(monkeypatch)

    assert first["SECRET_KEY"] == second["SECRET_KEY"]
    assert first["FIELD_KEYS"] == second["FIELD_KEYS"]
    kept = sorted((tmp_path / "data").iterdir())
    assert [path.name for path in kept] == ["field.key", "secret.key"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@pytest.mark.parametrize("missing", ["SECRET_KEY", "FIELD_KEYS"])
def test_a_real_database_needs_real_keys(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=missing):
        settings_with(monkeypatch, **PRODUCTION | {missing: ""})


def test_secrets_may_begin_with_a_dollar(monkeypatch: pytest.MonkeyPatch) -> None:
    made = settings_with(monkeypatch, **PRODUCTION)

    assert made["SECRET_KEY"] == PRODUCTION["SECRET_KEY"]
    assert made["DATABASES"]["default"]["PASSWORD"] == "$ecret"


def test_the_cache_is_redis_or_a_folder_that_processes_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    alone = settings_with(monkeypatch)["CACHES"]["default"]
    assert alone["BACKEND"] == "smsmail.web.cache.Files"
    assert alone["LOCATION"] == str(tmp_path / "data" / "cache")

    shared = settings_with(monkeypatch, REDIS_URL="redis://127.0.0.1:6379/0")["CACHES"]["default"]
    assert shared["BACKEND"] == "smsmail.web.cache.Redis"
    assert shared["LOCATION"] == "redis://127.0.0.1:6379/0"


def test_a_secret_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file\n")

    assert settings_with(monkeypatch, SECRET_KEY_FILE=str(tmp_path / "key"))["SECRET_KEY"] == (
        "from a file"
    )


def test_a_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from a file")

    with pytest.raises(ImproperlyConfigured, match="both set"):
        settings_with(monkeypatch, SECRET_KEY_FILE=str(tmp_path / "key"), SECRET_KEY="another")


def test_a_refused_database_address_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        settings_with(monkeypatch, DATABASE_URL="mysql://school:made-up@127.0.0.1/smsmail")

    assert "made-up" not in str(refusal.value)


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"HOST": "0.0.0.0", "PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"HOST": "::1"}, "http://[::1]:8000"),
        ({"PORT": "9000", "PUBLIC_URL": "https://sms.example.com/"}, "https://sms.example.com"),
    ],
)
def test_the_public_address_follows_host_and_port(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], address: str
) -> None:
    made = settings_with(monkeypatch, **environment)

    assert made["PUBLIC_URL"] == address
    assert made["SECURE"] == made["SESSION_COOKIE_SECURE"] == address.startswith("https")


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"PUBLIC_URL": "https://sms.example.com"}, "https://sms.example.com"),
        (
            {"PUBLIC_URL": "https://sms.example.com", "SHORT_URL": "https://s.example.com/"},
            "https://s.example.com",
        ),
    ],
)
def test_the_short_address_is_the_public_one_or_its_own(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], address: str
) -> None:
    made = settings_with(monkeypatch, **environment)

    assert made["SHORT_URL"] == address
    assert address.partition("://")[2].partition(":")[0] in made["ALLOWED_HOSTS"]
