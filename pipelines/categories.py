"""Stage ``categories``: choose the categories to build."""

import pandas as pd

from avsynth.core.funnel import make_funnel
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.tables import write_csv
from avsynth.runtime.options import Runtime
from avsynth.sources.categories import load_vocabulary, write_vocabulary


def categories(params: Params, layout: Layout, runtime: Runtime) -> pd.DataFrame:
    """Write the chosen part of the category table to ``data/interim/categories.csv``.

    Returns:
        The funnel: one row per category.

    Raises:
        ConfigError: the table is malformed, or a category is unknown.
    """
    table = params.categories.table
    vocabulary = load_vocabulary(layout.resolve(table) if table else None)
    chosen = vocabulary.choose(params.categories.choose)
    write_vocabulary(layout.categories_csv, chosen)
    # Stages that run after fetch depend on the folder of its funnels, also with nothing to fetch.
    layout.funnel("fetch").with_suffix("").mkdir(parents=True, exist_ok=True)
    funnel = make_funnel(
        ("categories", "", "category", name, "", "ok", "", 1) for name in chosen.names
    )
    write_csv(layout.funnel("categories"), funnel)
    return funnel
