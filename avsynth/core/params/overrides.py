"""``-S key=value``: one value of params.yaml set for one run."""

from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from avsynth.core.params.safe_yaml import parse_yaml
from avsynth.runtime.errors import ConfigError, suggest


def apply_override(raw: dict[str, Any], override: str, schema: type[BaseModel]) -> None:
    """Set one dotted key in place: one that exists or is allowed, so that a typo is an error.

    Args:
        raw: the content of params.yaml.
        override: ``key=value``, the key dotted, the value in YAML.
        schema: of the whole file.

    Raises:
        ConfigError: no ``=``, no such key (with the nearest known one), or no YAML.
    """
    dotted, equals, value = override.partition("=")
    where = f"-S {override[:200]}"
    if not equals:
        raise ConfigError(where, "key=value", "no '='", "Write e.g. -S match.pairing=late.")
    node: Any = raw
    *parents, last = dotted.split(".")
    for depth, name in enumerate([*parents, last]):
        known = [k for k in node if isinstance(k, str)] if isinstance(node, dict) else []
        if known and depth == len(parents):
            known += [key for key in known_keys(schema, parents) if key not in known]
        if name not in known:
            at = ".".join(dotted.split(".")[: depth + 1])
            raise ConfigError(where, "a key of params.yaml", f"{at!r}", suggest(name, known))
        if depth < len(parents):
            node = node[name]
    try:
        node[last] = parse_yaml(value)
    except ValueError as error:
        raise ConfigError(where, "a YAML value", str(error)[:200], "Quote the value.") from None


def known_keys(schema: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """List the keys that the section at a place may have, those with a default too."""
    annotation: Any = schema
    for name in location:
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        else:
            section = _section(annotation)
            field = section.model_fields.get(str(name)) if section else None
            annotation = field.annotation if field else None
    section = _section(annotation)
    return list(section.model_fields) if section else []


def _section(annotation: Any) -> type[BaseModel] | None:
    # A section that may be absent is annotated ``<Name>Params | None``.
    parts = () if get_origin(annotation) is dict else (annotation, *get_args(annotation))
    found = [p for p in parts if isinstance(p, type) and issubclass(p, BaseModel)]
    return found[0] if found else None
