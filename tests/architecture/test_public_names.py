"""The names that everyone may build on: those of ``core`` and ``protocols``.

A changed name is a change for users: record it on purpose, ``python tests/architecture/test_public_names.py``.
"""

import ast
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RECORD = REPOSITORY / "tests" / "architecture" / "public_names.txt"


def public_names() -> str:
    lines: list[str] = []
    for folder in ("core", "protocols"):
        for path in sorted((REPOSITORY / "src" / "worldfoundry" / folder).glob("[a-z]*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                lines += [
                    f"{folder}.{path.stem}.{name}" for name in _defined(node) if not name.startswith("_")
                ]
    return "\n".join(sorted(lines)) + "\n"


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name) and len(target.id) > 1]


def test_the_public_names_are_the_recorded_ones():
    assert public_names() == RECORD.read_text(encoding="utf-8")


if __name__ == "__main__":
    RECORD.write_text(public_names(), encoding="utf-8")
