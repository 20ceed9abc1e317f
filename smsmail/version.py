"""The version of smsmail: the top entry of CHANGELOG.md, which is the only place that names it."""

import re
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
ENTRY = re.compile(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", re.MULTILINE)


def read(changelog: Path) -> str:
    """Raises ImproperlyConfigured when the file has no entry like "## 0.2.0 - 2026-11-28"."""
    entry = ENTRY.search(changelog.read_text())
    if entry is None:
        raise ImproperlyConfigured(f"{changelog.name} has no entry like ## 0.2.0 - 2026-11-28")
    return entry[1]


VERSION = read(CHANGELOG)
