"""Files that are nobody else's on this machine. Without Django: the settings need it before."""

import stat
from contextlib import suppress
from pathlib import Path


def private(path: Path) -> None:
    """0600, whatever the umask was when it was made."""
    with suppress(OSError):  # not there, or another's
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
