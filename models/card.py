"""The model card of a checkpoint: what was trained, on which backbone, and how to use it."""

import inspect
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

from avsynth.models import MODELS
from avsynth.models.checkpoints import CheckpointInfo, read_info
from avsynth.runtime.errors import CheckpointError

_CARD = """---
library_name: avsynth
license: apache-2.0
tags: [audio-visual-segmentation, segment-anything, {model}]
---
# {title}

{about}

## This checkpoint

| | |
|---|---|
| model | `{model}` |
| backbone | SAM {backbone} (not in the file) |
| input | {input_size} x {input_size} px |
| trained numbers in the file | {num_trained:,} |
{rows}

SHA-256 of the frozen parts it was trained with; it is refused by a model with others:

{hashes}

## Scores

{scores}

## Use

```python
from pathlib import Path

from avsynth.models import MODELS
from avsynth.models.checkpoints import load_trained
from avsynth.models.backbones.sam import build_sam
from avsynth.models.backbones.vggish import build_vggish

sam = build_sam({architecture!r}, {input_size}, Path("path/to/sam_checkpoint.pth"))
vggish = build_vggish(Path("path/to/vggish-10086976.pth"))
model = MODELS["{model}"](sam, vggish{arguments}).eval()
load_trained(model, Path({file!r}))
```
"""


def model_card(path: Path, scores: Mapping[str, float] | None = None) -> str:
    """Return the card of a checkpoint as Markdown.

    Args:
        path: a file of `avsynth.models.checkpoints.save_trained`.
        scores: name to value, e.g. ``{"s4 test, mean IoU": 0.61}``.

    Raises:
        CheckpointError: the file is absent, damaged, of another program, or of a model that is
            not in `MODELS`.
    """
    info = read_info(path)
    if info.model not in MODELS:
        fix = "Add its builder to avsynth.models.MODELS first."
        raise CheckpointError(str(path), "a model of MODELS", repr(info.model), fix)
    title, about = _paper(info)
    return _CARD.format(
        model=info.model,
        title=title,
        about=about,
        architecture=info.architecture,
        backbone=_cell(info.architecture),
        input_size=info.input_size,
        num_trained=info.num_trained,
        rows="\n".join(
            f"| `{name}` | {_cell(json.dumps(value))} |"
            for name, value in sorted(info.parameters.items())
        ),
        hashes="\n".join(f"- `{part}`: `{digest}`" for part, digest in info.frozen.items()),
        scores="\n".join(f"- {escape(name)}: {value:.4f}" for name, value in (scores or {}).items())
        or "No scores were given.",
        arguments="".join(f", {n}={v!r}" for n, v in sorted(info.parameters.items())),
        file=path.name,
    )


def _cell(text: str) -> str:
    """Return a text as code in a table; no character of it is markup."""
    if re.fullmatch(r"[\w \".,:-]+", text):
        return f"`{text}`"
    return "<code>" + re.sub(r"[^\w .,:-]", lambda found: f"&#{ord(found[0])};", text) + "</code>"


def _paper(info: CheckpointInfo) -> tuple[str, str]:
    """Return title and text about a system: the docstring of its module."""
    module = inspect.getmodule(MODELS[info.model])
    title, _, about = inspect.cleandoc((module and module.__doc__) or info.model).partition("\n")
    return title.rstrip("."), about.split("\nShape letters")[0].strip()
