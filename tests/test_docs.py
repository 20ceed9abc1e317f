"""The Markdown files lead somewhere: every link opens a file, and every path that they name exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")
NAMED = re.compile(
    r"`((?:mailings|users|integrations|smsmail|tests|templates|locale|docs|benchmarks)/[^`<>]*)`"
)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("markdown", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_its_links_and_paths_exist(markdown: Path) -> None:
    text = markdown.read_text()
    for target, anchor in LINK.findall(text):
        file = (markdown.parent / target).resolve() if target else markdown
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"
    for path in NAMED.findall(text):
        assert list(ROOT.glob(path)), path


def test_the_map_of_packages_is_current() -> None:
    subprocess.run([sys.executable, ROOT / "docs" / "tree.py", "--check"], check=True)
