"""How things are named: a name stands for one thing in the whole application."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
APPLICATION = ("integrations", "mailings", "smsmail", "users")
REQUIRED = {"Command", "Migration"}  # Django looks for these names


def test_no_two_classes_have_one_name() -> None:
    """Of classes in a class, the outer one is a part of the name (Mailing.Kind)."""
    places: dict[str, list[str]] = defaultdict(list)
    for area in APPLICATION:
        for path in sorted((ROOT / area).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and node.name not in REQUIRED:
                    places[node.name].append(path.relative_to(ROOT).as_posix())
    assert len(places) > 100
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
