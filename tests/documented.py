"""Finds every command line that we show to people: in Markdown files, .env.example, the Makefile, the
image, compose, our own docstrings and help, and templates.
"""

import ast
import html
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
ROOMS = ("smsmail", "integrations", "users", "mailings", "benchmarks")
PROGRAMS = r"(?:[A-Z_]+=\S* )*(?:make|docker compose|manage\.py|python3?|\.venv/bin/python)"
SPAN = re.compile(rf"`({PROGRAMS}(?: [^`]*)?)`", re.DOTALL)
INDENTED = re.compile(rf"^(?: {{4,}}|\t)({PROGRAMS}(?: .*)?)$", re.MULTILINE)
CODE = re.compile(rf"<code>({PROGRAMS}(?: .*?)?)</code>", re.DOTALL)
INLINE_PYTHON = re.compile(r'python -c "[^"]+"')
MANAGE = re.compile(r"manage\.py (\w[^\n]*)")


@dataclass(frozen=True)
class Shown:
    """One line, and where it stands."""

    where: str
    line: str

    def __str__(self) -> str:
        return f"{self.where}: {self.line}"

    @property
    def words(self) -> list[str]:
        """Of what would run: the settings before it apart."""
        words = shlex.split(self.line)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        return words

    @property
    def managed(self) -> list[str] | None:
        """What manage.py gets of it; None: it does not call manage.py."""
        words = self.words
        if "manage.py" not in words:
            return None
        return words[words.index("manage.py") + 1 :]


def everywhere() -> list[Shown]:
    found = [*_texts(), *_makefile(), *_compose(), *_sources(), *_templates()]
    return list({(each.where, each.line): each for each in found}.values())


def in_page(where: str, page: str) -> list[Shown]:
    """Of a rendered page."""
    return [Shown(where, _clean(html.unescape(line))) for line in CODE.findall(page)]


def templates_that_fill_in() -> list[str]:
    """Whose commands are whole only on a rendered page."""
    return [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "templates").rglob("*.html"))
        if any("{{" in line or "{%" in line for line in CODE.findall(path.read_text()))
    ]


def targets() -> dict[str, list[str]]:
    """Of the Makefile: name -> recipe."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (ROOT / "Makefile").read_text().splitlines():
        if heading := re.match(r"^([a-z]+):", line):
            name = heading[1]
            found[name] = []
        elif line.startswith("\t") and name:
            found[name].append(line.strip())
    return found


def _texts() -> Iterator[Shown]:
    for path in [
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
        ROOT / ".env.example",
    ]:
        text = path.read_text()
        name = str(path.relative_to(ROOT))
        for line in [*SPAN.findall(text), *INDENTED.findall(text), *INLINE_PYTHON.findall(text)]:
            yield Shown(name, _clean(line))


def _makefile() -> Iterator[Shown]:
    text = (ROOT / "Makefile").read_text()
    values = dict(re.findall(r"^([A-Z]+) \??:?= ?(.*)$", text, re.MULTILINE))
    for recipe in targets().values():
        for line in recipe:
            if found := MANAGE.search(line):
                filled = re.sub(r"\$\((\w+)\)", lambda name: values.get(name[1], ""), found[0])
                yield Shown("Makefile", _clean(filled))


def _compose() -> Iterator[Shown]:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        command = [str(word) for word in service.get("command", [])]
        if "manage.py" in command:
            yield Shown(f"docker-compose.yml {name}", shlex.join(command))
    for path in ("Dockerfile", "docker-compose.yml"):
        text = (ROOT / path).read_text()
        for line in [*SPAN.findall(text), *re.findall(r"python manage\.py [\w -]+\w", text)]:
            yield Shown(path, _clean(line))


def _sources() -> Iterator[Shown]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    for line in SPAN.findall(node.value):
                        yield Shown(str(path.relative_to(ROOT)), _clean(line))


def _templates() -> Iterator[Shown]:
    for path in sorted((ROOT / "templates").rglob("*.html")):
        name = str(path.relative_to(ROOT))
        for line in CODE.findall(path.read_text()):
            if "{{" not in line and "{%" not in line:
                yield Shown(name, _clean(html.unescape(line)))


def _clean(line: str) -> str:
    """Without the comment at its end, and in one line."""
    return " ".join(re.sub(r"\s#\s.*$", "", line).split())
