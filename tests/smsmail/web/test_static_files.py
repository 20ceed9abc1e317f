"""The static files as the image has them: collectstatic with hashed names, in a process of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OURS = ROOT / "smsmail" / "static"
IMPORT = re.compile(r"""\bimport\b[^"';]*["']([^"']+)["']""")
HASHED = re.compile(r"\.[0-9a-f]{12}\.js$")


@pytest.fixture(scope="module")
def static_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image")
    nothing = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder / "build")}
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "-v", "0"],
        cwd=ROOT,
        env=nothing | {"STATIC_ROOT": str(folder / "static")},
        check=True,
        timeout=120,
    )
    return folder / "static"


def test_imported_modules_are_there_under_their_hashed_names(static_root: Path) -> None:
    names = json.loads((static_root / "staticfiles.json").read_text())["paths"]
    imported = set()
    for source in OURS.rglob("*.js"):
        hashed = static_root / names[source.relative_to(OURS).as_posix()]
        wanted = IMPORT.findall(source.read_text())
        found = IMPORT.findall(hashed.read_text())
        assert len(found) == len(wanted), source
        for address in found:
            assert HASHED.search(address), f"{hashed.name} imports {address}"
            assert (hashed.parent / address).is_file(), f"{hashed.name} imports {address}"
        imported |= {(source.parent / address).resolve() for address in wanted}

    assert imported == {OURS / "composer" / "requests.js"}
