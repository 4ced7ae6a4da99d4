"""README and docs are run: what a reader copies has to work.

Per document, in order and in one folder that has ``samples/``: each ```` ```python ```` block (one namespace a document),
and each ```` ```bash ```` block whose lines all begin with ``worldfoundry``. The fence may say ``no-run``: what takes minutes
or files that are not there is parsed only, and so is every example of the commands' help.
"""

import importlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from worldfoundry.cli import doctor, evaluate
from worldfoundry.cli.main import COMMANDS, main
from worldfoundry.evaluate import parity

REPOSITORY = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```\s*$", flags=re.M | re.S)
EXAMPLE = re.compile(r"(?:[Ee]xample: |\$ )(worldfoundry [^\"\n]*?)\.?(?:\"|$)", flags=re.M)
SLOW = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    code: str
    line: int


def blocks_of(document: Path) -> list[Block]:
    """The blocks of a document that can be run."""
    text = document.read_text(encoding="utf-8")
    blocks: list[Block] = []
    for match in FENCE.finditer(text):
        language, *flags = match["info"].split() or [""]
        is_ours = language == "python" or (language == "bash" and _commands(match["code"]))
        if is_ours and "no-run" not in flags:
            blocks.append(Block(language, match["code"], text.count("\n", 0, match.start()) + 2))
    return blocks


def _commands(code: str) -> list[list[str]]:
    """Arguments of each ``worldfoundry`` line; nothing if the block holds anything else."""
    lines = code.replace("\\\n", " ").splitlines()
    commands = [words for line in lines if (words := shlex.split(line, comments=True))]
    return [words[1:] for words in commands] if all(words[0] == "worldfoundry" for words in commands) else []


def _documents() -> list[object]:
    paths = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    found = [path for path in paths if path.exists() and blocks_of(path)]
    return [pytest.param(path, id=path.relative_to(REPOSITORY).as_posix(), marks=SLOW) for path in found]


def _lines() -> set[str]:
    """Every command of a ``bash`` block, run or not, and every example of the help."""
    found = {command.example for command in COMMANDS.values()}
    for path in (REPOSITORY / "src" / "worldfoundry" / "cli").glob("*.py"):
        found |= set(EXAMPLE.findall(path.read_text(encoding="utf-8")))
    for path in (REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")):
        for match in FENCE.finditer(path.read_text(encoding="utf-8")):
            if match["info"].startswith("bash"):
                lines = match["code"].replace("\\\n", " ").splitlines()
                found |= {line.split("#")[0].strip() for line in lines if line.startswith("worldfoundry ")}
    return found


class Parsed(Exception):
    """The command line was accepted; the work would begin."""


@pytest.fixture
def _only_parse(monkeypatch, tmp_path):
    """Commands import their work by ``import_module`` after parsing; those that do not are stopped by name."""
    real = importlib.import_module
    commands = {command.module for command in COMMANDS.values()}

    def stop(*args, **kwargs):
        raise Parsed

    def import_module(name, *args):
        ours = name.startswith("worldfoundry.") and not name.startswith("worldfoundry.recipes.")
        return stop() if ours and name not in commands else real(name, *args)

    monkeypatch.setattr(importlib, "import_module", import_module)
    monkeypatch.setattr(doctor, "_CHECKS", ())
    monkeypatch.setattr(evaluate, "read_result", stop)
    monkeypatch.setattr(parity, "run_parity", stop)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "samples").symlink_to(REPOSITORY / "samples")


def _accepts(line: str) -> bool:
    try:
        return main(shlex.split(line)[1:]) == 0
    except Parsed:
        return True


@pytest.mark.parametrize("document", _documents())
def test_every_block_of_a_document_runs(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "samples").symlink_to(REPOSITORY / "samples")
    namespace: dict[str, object] = {"__name__": "__document__"}
    for block in blocks_of(document):
        if block.language == "python":
            padded = "\n" * (block.line - 1) + block.code  # tracebacks show the line of the document
            exec(compile(padded, str(document), "exec"), namespace)
            continue
        for args in _commands(block.code):
            assert main(args) == 0, f"{document.name}:{block.line}: worldfoundry {shlex.join(args)}"


@pytest.mark.usefixtures("_only_parse")
@pytest.mark.parametrize("line", sorted(_lines()))
def test_every_command_in_the_documents_and_in_the_help_is_accepted(line, capsys):
    assert _accepts(line), capsys.readouterr().err


@pytest.mark.usefixtures("_only_parse")
def test_a_wrong_command_is_not_accepted():
    for line in (
        "worldfoundry generate --video clip.mp4 --out clip.gif",
        "worldfoundry evaluate rollout --scenes free-fall",
        "worldfoundry curate run footage/ --fps 10",
        "worldfoundry data prepare footage/ --crops two --out out",
        "worldfoundry doctor --jsn",
    ):
        assert not _accepts(line), line


def test_every_command_has_an_example_in_its_own_help():
    for name, command in COMMANDS.items():
        source = REPOSITORY / "src" / f"{command.module.replace('.', '/')}.py"
        examples = EXAMPLE.findall(source.read_text(encoding="utf-8"))
        assert any(e.startswith(f"worldfoundry {name}") for e in examples), name


def test_only_blocks_of_ours_are_taken(tmp_path):
    document = tmp_path / "page.md"
    document.write_text(
        "```bash\nmake demo\n```\n```bash\nworldfoundry models list  # all\nworldfoundry \\\n  doctor\n```\n"
        "```bash no-run\nworldfoundry demo\n```\n```python\nx = 1\n```\n```text\nworldfoundry\n```\n```\nplain\n```\n"
    )
    assert [(b.language, b.line) for b in blocks_of(document)] == [("bash", 5), ("python", 13)]
    assert _commands(blocks_of(document)[0].code) == [["models", "list"], ["doctor"]]
