"""`parse_yaml`: YAML of limited size, depth and expansion, so that no file can fill the memory."""

from typing import Any

import yaml

MAX_BYTES = 1 << 20
_MAX_NODES = 100_000
"""Values after every alias is replaced by what it stands for; params.yaml has some 300."""
_MAX_SCALAR = 1000
"""Characters of a number, date or other value that is not text: some take quadratic time."""
_STRING = "tag:yaml.org,2002:str"


def parse_yaml(text: str) -> Any:
    """Parse YAML to plain values.

    Raises:
        ValueError: it is not YAML, or larger or deeper than any params.yaml.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"{len(text):,} characters; at most {MAX_BYTES:,} are read")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _expanded_size(node, {})
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("values nested too deeply") from None
    except (AttributeError, TypeError, KeyError, OverflowError) as error:
        # Of a value that contradicts its own tag, such as ``!!timestamp no``.
        raise ValueError(f"a value that its tag does not fit ({error})") from None


def _expanded_size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Count the values below a node, those behind an alias as often as it is used.

    Raises:
        ValueError: there are too many, a value holds itself, or a number is too long.
    """
    if isinstance(node, yaml.ScalarNode):
        if node.tag != _STRING and len(node.value) > _MAX_SCALAR:
            raise ValueError(f"a value of {len(node.value):,} characters that is not text")
        return 1
    if id(node) not in sizes:
        sizes[id(node)] = _MAX_NODES  # Found again inside itself, it would have no end.
        pairs = isinstance(node, yaml.MappingNode)
        children = [c for pair in node.value for c in pair] if pairs else node.value
        size = 1
        for child in children:
            size += _expanded_size(child, sizes)
            if size > _MAX_NODES:
                raise ValueError(f"more than {_MAX_NODES:,} values once its aliases are replaced")
        sizes[id(node)] = size
    return sizes[id(node)]
