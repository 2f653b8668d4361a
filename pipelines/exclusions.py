"""Stage ``exclusions``: list the videos, masks and clips that may not be used.

DVC cannot depend on a list that does not exist yet: AVSBench's csvs often arrive after the first
build. So this stage runs at every ``dvc repro``, and the stage ``match`` depends on its table.
"""

import pandas as pd

from avsynth.building.exclusions import Excluded, exclusion_rows, read_exclusions
from avsynth.building.reviews import drop_reasons, read_reviews
from avsynth.core.funnel import make_funnel
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.tables import write_csv, write_table
from avsynth.runtime.options import Runtime


def exclusions(params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write ``data/interim/exclusions.csv``: the lists, and the ids that they exclude.

    Returns:
        The funnel: one row per list of ``match.exclude_videos`` with its number of videos.

    Raises:
        DataError: a list exists and cannot be read.
    """
    lists = read_exclusions(layout.root, params.match.exclude_videos)
    reviews = params.match.reviews
    reviewed = drop_reasons([] if reviews is None else read_reviews(layout.resolve(reviews)))
    rows = exclusion_rows(lists, reviewed)
    write_table(layout.exclusions_csv, Excluded, rows, key=("item", "source", "id"))
    counts = [
        ("exclusions", e.path, "exclusion", "", "", status, "", len(e.videos))
        for e in lists
        for status in ("ok" if e.found else "absent",)
    ]
    funnel = make_funnel(counts)
    write_csv(layout.funnel("exclusions"), funnel)
    return funnel
