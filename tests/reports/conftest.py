"""A project with scores and stored predictions, and its report, made once."""

import pytest

from avsynth.core.params.load import load_params
from avsynth.pipelines.report import report
from avsynth.runtime.options import Runtime
from tests.helpers.score_rows import scored_project

QUICK = ["report.draws=100"]


@pytest.fixture(scope="session")
def reported(built, tmp_path_factory):
    """Layout of a project whose report has been written; read only."""
    layout = scored_project(built, tmp_path_factory.mktemp("reported") / "project")
    report(load_params(layout.root, QUICK), layout, Runtime())
    return layout
