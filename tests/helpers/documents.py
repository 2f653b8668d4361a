"""Read the commands and code blocks of README, CONTRIBUTING and docs/."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

PAGES = sorted((REPOSITORY / "docs").glob("*.md"))
DOCUMENTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *PAGES]
_PROGRAMS = r"avsynth|make|dvc|python|pip|ray|torchrun|git"
COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:{_PROGRAMS}) ")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    content: str


def blocks(path: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a document."""
    text = path.read_text()
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(path.name, line, found[1], found[2])


def prose(path: Path) -> str:
    """Return a document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)


def shell_commands(content: str) -> Iterator[list[str]]:
    """Yield the commands of a shell block as words, without comments and variables."""
    for line in content.replace("\\\n", " ").splitlines():
        command: list[str] = []
        for word in [*shlex.split(line, comments=True), "&&"]:
            if word in ("&&", "|", ";"):
                if command:
                    yield command
                command = []
            elif command or not re.match(r"[A-Z_]+=", word):
                command.append(word)


def inline_commands(path: Path) -> Iterator[list[str]]:
    """Yield the commands that stand in backticks in a document's text, as words."""
    for span in re.findall(r"`([^`]+)`", prose(path)):
        text = " ".join(span.split())
        if COMMAND.match(text):
            yield from shell_commands(text)
