"""Reading the environment, for settings.py: an empty value is the default, nonsense fails loudly.

Not environ.Env's own readers: they take a value that begins with "$" for the name of another
variable (passwords do), and any nonsense for a false flag.
"""

import ipaddress
import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def words(name: str) -> list[str]:
    """A list separated by commas."""
    return [word.strip() for word in text(name).split(",") if word.strip()]


def secret(name: str) -> str:
    """The value of NAME, or the content of the file that NAME_FILE names; '' when neither is set."""
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
    """Does this name or address mean the machine itself, and nobody else's?"""
    name = host.strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def positive(name: str, default: int) -> int:
    """A whole number above zero; ImproperlyConfigured otherwise."""
    raw = text(name, str(default))
    if not raw.isascii() or not raw.isdigit() or int(raw) == 0:
        raise ImproperlyConfigured(f"{name}={raw} must be a whole number above zero")
    return int(raw)
