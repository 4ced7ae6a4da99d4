"""README and docs are run: what a reader copies has to work.

Per document, in order and in one folder that has ``samples/``: each ```` ```python ```` block (one namespace a document),
and each ```` ```bash ```` block whose lines all begin with ``worldfoundry``. The fence may say ``no-run``.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from worldfoundry.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```\s*$", flags=re.M | re.S)
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


def test_only_blocks_of_ours_are_taken(tmp_path):
    document = tmp_path / "page.md"
    document.write_text(
        "```bash\nmake demo\n```\n```bash\nworldfoundry models list  # all\nworldfoundry \\\n  doctor\n```\n"
        "```bash no-run\nworldfoundry demo\n```\n```python\nx = 1\n```\n```text\nworldfoundry\n```\n```\nplain\n```\n"
    )
    assert [(b.language, b.line) for b in blocks_of(document)] == [("bash", 5), ("python", 13)]
    assert _commands(blocks_of(document)[0].code) == [["models", "list"], ["doctor"]]
