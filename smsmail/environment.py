"""Reads the environment for settings.py: an empty value means the default, an invalid one raises
ImproperlyConfigured.

environ.Env's own readers are not used: they take a value that begins with "$" for the name of
another variable (passwords may), and any invalid flag for false.
"""

import ipaddress
import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def words(name: str) -> list[str]:
    """Return a comma-separated list."""
    return [word.strip() for word in text(name).split(",") if word.strip()]


def secret(name: str) -> str:
    """Return the value of NAME, or the content of the file that NAME_FILE names; '' if neither is
    set.
    """
    path = text(f"{name}_FILE")
    if not path:
        return text(name)
    if text(name):
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; keep one")
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE={path} cannot be read: {error}") from error


def flag(name: str, default: str = "no") -> bool:
    value = text(name, default).lower()
    if value not in {"yes", "no", "true", "false", "1", "0"}:
        raise ImproperlyConfigured(f"{name}={value} must be yes or no")
    return value in {"yes", "true", "1"}


def is_loopback(host: str) -> bool:
    """True if this name or address means this machine itself."""
    name = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def days(name: str, least: int) -> int:
    """Return a whole number of days, or 0 if none is set. Raises ImproperlyConfigured for fewer than
    `least`, which is not meant as "at once".
    """
    if not text(name):
        return 0
    number = positive(name, least)
    if number < least:
        raise ImproperlyConfigured(f"{name}={number} must be at least {least}")
    return number


def positive(name: str, default: int) -> int:
    """Return a whole number above zero. Raises ImproperlyConfigured for anything else."""
    raw = text(name, str(default))
    if not raw.isascii() or not raw.isdigit() or int(raw) == 0:
        raise ImproperlyConfigured(f"{name}={raw} must be a whole number above zero")
    return int(raw)
