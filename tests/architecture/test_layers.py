import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path


def test_imports_point_down_only(repository):
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"], cwd=repository, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_has_its_layer(repository):
    settings = tomllib.loads((repository / "pyproject.toml").read_text())
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name for layer in layers for name in re.findall(r"worldfoundry\.(\w+)", layer)}
    package = repository / "src" / "worldfoundry"
    assert named == {path.parent.name for path in package.glob("*/__init__.py")}


def test_core_imports_the_standard_library_only(repository):
    allowed = sys.stdlib_module_names
    for path in (repository / "src" / "worldfoundry" / "core").glob("*.py"):
        for module in _imported_modules(path):
            assert module.split(".")[0] in allowed or module.startswith("worldfoundry.core"), (
                f"{path}: {module}"
            )


def test_every_protocol_can_be_checked_at_run_time(repository):
    """Beartype checks annotations in tests by ``isinstance``, which a protocol has to allow."""
    for path in (repository / "src" / "worldfoundry").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(base).startswith("Protocol") for base in node.bases
            ):
                decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
                assert "runtime_checkable" in decorators, f"{path}: {node.name} needs @runtime_checkable"


def _imported_modules(path: Path) -> list[str]:
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            modules.append(node.module or "")
    return modules
