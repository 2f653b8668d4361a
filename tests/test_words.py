"""Docstrings, comments, messages and documents are plain technical English.

``python -m tests.test_words`` prints the findings per folder.
"""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

INSTEAD = {
    r"mend(s|ed|ing)?": "fix, correct",
    r"dear(er|est)?": "expensive",
    r"whoever": "the process that, the user who",
    r"anew": "again, rebuilt",
    r"(that|which|what) (is|are) none": "invalid, not a ...",
    r"of (ours|yours)": "our, your",
    r"what is there": "the existing files (name the subject)",
    r"(hear|hears|heard|hearing)": "use the audio, measure, play",
    r"(says?|said) of": "returns for, describes",
    r"(lay|lays|laid) out": "arrange, write",
    r"held against": "compared with",
    r"pictures?(?!:)": "image",  # "picture:" is text of stored licences
    r"told apart": "distinguished",
    r"condemn(s|ed)?": "reject",
}
"""Pattern of a word -> what to write in its place."""
WORDS = re.compile(rf"\b({'|'.join(INSTEAD)})\b", re.IGNORECASE)
FIRST_WORDS = re.compile(r"\s*(Say|Give|Tell|Lay|Bring|Hear|Take|Hand|Let|Know|See)\b")
"""No docstring begins so; begin with Return, Compute, Read, Write, Build, Check, Raise, Yield."""
GIVE = re.compile(r"\bGive (?!up\b)")


def faults(text: str, *, docstring: bool = False) -> list[str]:
    """Return the words of a text that are to be replaced, with what to write in their place."""
    text = re.sub(r"``?[^`]*``?|\"[a-z_]+\"", "``", text)  # quoted code and column names
    found = [match[0] for match in WORDS.finditer(text)]
    found += [match[0].strip() for match in GIVE.finditer(text)]
    if docstring and (first := FIRST_WORDS.match(text)):
        found.append(f"docstring begins with {first[1]}")
    return list(dict.fromkeys(found))


def texts(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Yield (line, text, is a docstring) of everything in a file that people read."""
    content = path.read_text()
    if path.suffix == ".py":
        yield from _python_texts(content)
    elif path.suffix == ".md":
        code = re.sub(r"^```.*?^```", lambda b: "\n" * b[0].count("\n"), content,
                      flags=re.MULTILINE | re.DOTALL)  # fmt: skip
        yield from ((n, line, False) for n, line in enumerate(code.splitlines(), 1))
    else:
        for number, line in enumerate(content.splitlines(), 1):
            yield number, line.partition("#")[2], False


def _python_texts(content: str) -> Iterator[tuple[int, str, bool]]:
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string, False
    tree = ast.parse(content)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value, id(node) in alone


def files() -> Iterator[tuple[str, Path]]:
    """Yield every checked file with its path from the repository; links are read once."""
    wanted = {".py", ".md", ".yaml", ".yml", ".toml"}
    skipped = {".venv", "demo", "data", "runs", "reports", "site", "build", "dist", "golden"}
    for path in sorted(REPOSITORY.rglob("*")):
        parts = path.relative_to(REPOSITORY).parts
        linked = parts[:2] in (("avsynth", "models"), ("avsynth", "pipelines"))
        generated = parts[0] in skipped or "golden" in parts or parts[0] == ".git"
        if (path.suffix in wanted or path.name == "Makefile") and not linked and not generated:
            yield "/".join(parts), path


def findings(name: str, path: Path) -> list[str]:
    """Return a line for each fault of a file."""
    if name == "tests/test_words.py":
        return []
    return [
        f"{name}:{line}: {fault}"
        for line, text, docstring in texts(path)
        for fault in faults(text, docstring=docstring)
    ]


def test_texts_use_plain_words():
    checked = list(files())
    names = {name for name, _ in checked}
    assert len(checked) > 400
    assert {"README.md", "docs/models.md", "avsynth/cli/main.py", "models/save.py", "params.yaml",
            "presets/paper.yaml", "pipelines/shard.py", "tests/test_docs.py"} <= names  # fmt: skip
    broken = [line for name, path in checked for line in findings(name, path)]
    assert not broken, "\n".join([*broken, "", *(f"{a} -> {b}" for a, b in INSTEAD.items())])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('"""Say what is there."""\n', ["1: what is there", "1: docstring begins with Say"]),
        ("x = 1  # whoever ends last\n", ["1: whoever"]),
        ('raise ValueError(f"{x} is gone. Mend the file.")\n', ["1: Mend"]),
        ('def f():\n    """Return x.\n\n    It is `heard`."""\n', []),
        ('COLUMNS = ("heard", "mend")\n', []),
        ("give = 'Give the name of a file'\n", ["1: Give"]),
        ("# the endearing, amended header\n", []),
    ],
)
def test_the_check_finds_words_where_people_read_them(tmp_path, content, expected):
    path = tmp_path / "module.py"
    path.write_text(content)
    assert [line.removeprefix("m:") for line in findings("m", path)] == expected


def main() -> None:
    """Print the number of findings per folder."""
    counts: Counter[str] = Counter()
    for name, path in files():
        lines = findings(name, path)
        folder = "/".join(name.split("/")[:2]) if name.startswith("avsynth/") else None
        counts[folder or name.split("/")[0]] += len(lines)
    for folder, count in sorted(counts.items()):
        print(f"{count:5}  {folder}")


if __name__ == "__main__":
    main()
