"""The map of the code: each package with the first sentence of its docstring, in the order of imports.

It prints the map; with --write it puts it into docs/architecture.md, and with --check it fails when the
map there is not current. The order comes from the import contracts in pyproject.toml.
"""

import argparse
import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- tree: begin -->\n", "<!-- tree: end -->\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--write", action="store_true", help="put the map into docs/architecture.md"
    )
    parser.add_argument(
        "--check", action="store_true", help="fail when the map there is not current"
    )
    chosen = parser.parse_args()
    if not (chosen.write or chosen.check):
        sys.stdout.write(tree())
        return
    text = PAGE.read_text()
    current = with_map(text)
    if chosen.write:
        PAGE.write_text(current)
    elif text != current:
        sys.exit("The map in docs/architecture.md is not current: make tree ARGS=--write")


def with_map(text: str) -> str:
    """The page with the map between its two marker comments."""
    before, rest = text.split(BEGIN)
    _old, after = rest.split(END)
    return f"{before}{BEGIN}\n{tree()}\n{END}{after}"


def tree() -> str:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layered = {
        tuple(each.get("containers", ())): each["layers"]
        for each in contracts["contracts"]
        if each["type"] == "layers"
    }
    return "\n".join(table(app, layered[(app,)]) for app in layered[()])


def table(app: str, layers: list[str]) -> str:
    rows = [f"**`{app}/`**: {purpose(ROOT / app)}", "", "| where | what for |", "|---|---|"]
    for layer in layers:
        for name in layer.split(" | "):
            path = ROOT / app / name
            if path.is_dir():
                rows.append(f"| `{app}/{name}/` | {purpose(path)} |")
            else:
                rows.append(f"| `{app}/{name}.py` | {purpose(path.with_suffix('.py'))} |")
    return "\n".join(rows) + "\n"


def purpose(path: Path) -> str:
    """The first sentence of its docstring."""
    file = path / "__init__.py" if path.is_dir() else path
    said = ast.get_docstring(ast.parse(file.read_text()))
    if not said:
        sys.exit(f"{file.relative_to(ROOT)} has no docstring that says what it is for")
    sentence: str = re.split(r"(?<=\.)\s", " ".join(said.split()), maxsplit=1)[0]
    return sentence.replace("|", "\\|")


if __name__ == "__main__":
    main()
