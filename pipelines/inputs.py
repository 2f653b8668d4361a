"""Stage ``inputs``: record the digests of the single files that params.yaml names.

A DVC stage cannot depend on a path that may be null, such as ``models.save.checkpoint``. So this
stage runs at every ``dvc repro`` and writes a digest of each file; the stages that read
the file depend on its digest.
"""

import pandas as pd

from avsynth.core.files import write_json
from avsynth.core.funnel import make_funnel
from avsynth.core.hashing import file_digest
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.tables import write_csv
from avsynth.runtime.options import Runtime

ABSENT = "absent"


def inputs(params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``data/interim/inputs/<model>.json`` and ``orders.json``.

    A model's file has the digests of its own checkpoint and of VGGish's; ``orders.json`` those of
    the lists of ``fewshot.order``. A path that is null has the digest null, a file that does not
    exist ``absent``: the stage that needs the file raises the error.

    Returns:
        The funnel: one row per path of params.yaml.
    """
    named = {name: model.checkpoint for name, model in params.models.items()}
    orders = params.fewshot.order
    paths = {*named.values(), params.vggish.checkpoint, *orders.values()} - {None}
    digests = {path: _digest(layout, path) for path in sorted(filter(None, paths))}
    vggish = digests.get(params.vggish.checkpoint or "")
    for name, path in named.items():
        content = {"checkpoint": digests.get(path or ""), "vggish": vggish}
        write_json(layout.inputs(name), content)
    write_json(layout.inputs("orders"), {name: digests[path] for name, path in orders.items()})
    rows = [
        ("inputs", path, "file", "", "", ABSENT if digest == ABSENT else "ok", "", 1)
        for path, digest in digests.items()
    ]
    funnel = make_funnel(rows)
    write_csv(layout.funnel("inputs"), funnel)
    return funnel


def _digest(layout: Layout, path: str) -> str:
    file = layout.resolve(path)
    return file_digest(file) if file.is_file() else ABSENT
