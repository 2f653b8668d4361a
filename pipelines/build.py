"""Command ``build``: all stages from raw annotations to shards, in order, in one process."""

from collections.abc import Iterator

import pandas as pd

from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.pipelines.audio import audio
from avsynth.pipelines.categories import categories
from avsynth.pipelines.exclusions import exclusions
from avsynth.pipelines.fetch import fetch
from avsynth.pipelines.masks import masks
from avsynth.pipelines.match import match
from avsynth.pipelines.shard import shard
from avsynth.runtime.options import Runtime


def build(params: Params, layout: Layout, runtime: Runtime) -> Iterator[tuple[str, pd.DataFrame]]:
    """Run fetch, categories, masks, audio, exclusions, match and shard.

    Yields:
        The stage (``masks lvis``) and its funnel, when each one ends.
    """
    for source in params.fetch.sources:
        yield f"fetch {source}", fetch(source, params, layout, runtime)
    yield "categories", categories(params, layout, runtime)
    for source in params.masks.folders():
        yield f"masks {source}", masks(source, params, layout, runtime)
    for source in params.audio.folders():
        yield f"audio {source}", audio(source, params, layout, runtime)
    yield "exclusions", exclusions(params, layout, runtime)
    yield "match", match(params, layout, runtime)
    yield "shard", shard(params, layout, runtime)
