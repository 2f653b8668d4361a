"""Errors that the user can fix are `AvsynthError`s; any other is a bug and keeps its traceback.

AvsynthError
├── ConfigError      params.yaml, an option, a category name
├── DataError        an input file or folder is absent, damaged or of another kind
├── CheckpointError  weights do not fit the model they are loaded into
├── SpaceError       the disk is full or the folder cannot be written
├── DropLimitError   a stage lost more items than its limit allows
└── MissingExtra     an optional package is not installed
"""

from collections.abc import Iterable
from difflib import get_close_matches


class AvsynthError(Exception):
    """An error that the user can fix.

    The message has four parts: where, what was expected, what was found, what to do. The command
    line prints it and exits with code 2.

    Args:
        where: the place, e.g. ``masks/lvis`` or ``data/raw/vggsound.csv:17``.
        expected: the condition that is not met.
        found: the actual state.
        fix: an imperative that the user can carry out.
    """

    def __init__(self, where: str, expected: str, found: str, fix: str) -> None:
        self.where, self.expected, self.found, self.fix = where, expected, found, fix
        super().__init__(f"{where}: expected {expected}; found {found}. {fix}")

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        """Pickle by the four parts, so that an error crosses a process boundary whole."""
        return type(self), (self.where, self.expected, self.found, self.fix)


class ConfigError(AvsynthError):
    """A value of params.yaml, an option or a category name is wrong."""


class DataError(AvsynthError):
    """An input is absent, damaged or of an unexpected kind."""


class CheckpointError(AvsynthError):
    """Weights do not fit the model that they are loaded into."""


class SpaceError(AvsynthError):
    """An output cannot be written: no free space or no permission."""


class DropLimitError(AvsynthError):
    """A stage dropped a larger share of its items than its limit allows."""


class MissingExtra(AvsynthError):  # noqa: N818 - it names what is missing
    """An optional package is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            package,
            f"the optional package {package}",
            "it is not installed",
            f"Install it with: pip install 'avsynth[{extra}]'",
        )
        self._made_of = (package, extra)

    def __reduce__(self) -> tuple[type, tuple[str, ...]]:  # type: ignore[override]
        """Pickle by the two constructor arguments."""
        return type(self), self._made_of


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the nearest known names as a hint, e.g. ``Did you mean 'dog'?``, or all of them."""
    known = sorted(known)
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return "Did you mean " + " or ".join(repr(n) for n in near) + "?"
    return "Known: " + ", ".join(known) + "." if known else "None are known."
