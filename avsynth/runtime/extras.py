"""Check of optional packages, for rooms that cannot be imported without one."""

from importlib import import_module

from avsynth.runtime.errors import MissingExtra


def require(package: str, extra: str) -> None:
    """Import an optional package.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingExtra(package, extra) from None
