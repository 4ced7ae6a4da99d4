import re
from pathlib import Path

import pytest

from worldfoundry import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
TOP = {"src", "tests", "docs", "samples", "scripts", ".ci", "benchmarks", "examples"}
DOCUMENTS = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for pattern in ("README.md", "AGENTS.md", "CONTRIBUTING.md", "docs/**/*.md")
    for path in REPOSITORY.glob(pattern)
)


def _prose(document: str) -> str:
    """The text without fenced blocks: those are run, not read."""
    return re.sub(r"^```.*?^```", "", (REPOSITORY / document).read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_in_a_document_exists(document):
    package = REPOSITORY / "src" / "worldfoundry"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    for path in re.findall(r"`([\w.][\w.-]*(?:/[\w.-]+)*/?)`", _prose(document)):
        first = path.split("/")[0]
        if "/" in path and first in TOP:
            assert (REPOSITORY / path).exists(), f"{document} names {path}"
        elif "/" in path and first in folders:
            assert (package / path).exists(), f"{document} names {path} of the package"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_in_a_document_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(document)):
        if not re.match(r"[a-z]+:|#", target):
            assert (REPOSITORY / document).parent.joinpath(target.split("#")[0]).exists(), (
                f"{document} links {target}"
            )


def test_the_architecture_has_a_paragraph_for_every_folder_and_for_no_other(repository):
    text = (repository / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"^\*\*`(\w+)/`\*\*", text, flags=re.M)
    folders = [path.parent.name for path in (repository / "src" / "worldfoundry").glob("*/__init__.py")]
    assert sorted(named) == sorted(folders)


def test_the_version_is_the_newest_of_the_changelog(repository):
    changelog = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, flags=re.M)
    assert released[0] == __version__


def test_the_decisions_are_numbered_without_gaps(repository):
    numbers = sorted(int(path.name[:4]) for path in (repository / "docs" / "adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))
    for path in (repository / "docs" / "adr").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert all(f"\n## {part}\n" in text for part in ("Context", "Decision", "Consequences")), path.name
