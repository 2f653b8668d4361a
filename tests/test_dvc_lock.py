"""dvc.lock, the tables and the metrics of the repository are those of its code and parameters.

Data is not needed: only code, parameters and the small outputs that are committed are compared.
A failure means that a full ``dvc repro`` has to be run and its dvc.lock and reports committed.
"""

from typing import Any

import pytest
import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

from tests.conftest import REPOSITORY

CODE = ("avsynth/", "models/", "pipelines/")
COMMITTED = ("reports/tables", "reports/metrics.json")
FIX = "run 'dvc repro' and commit dvc.lock and reports"


@pytest.fixture(scope="module")
def stages() -> Any:
    """Return every stage of the pipeline with what dvc.lock has of it."""
    with Repo(str(REPOSITORY)) as repository:
        yield list(repository.index.stages)


def test_every_stage_is_locked(stages: Any):
    path = REPOSITORY / "dvc.lock"
    locked = set(yaml.safe_load(path.read_text())["stages"]) if path.exists() else set()
    names = {stage.addressing for stage in stages}
    assert len(names) > 20
    assert locked == names, FIX


def test_code_and_parameters_are_those_of_dvc_lock(stages: Any):
    stale, compared = set(), 0
    for stage in stages:
        if stage.cmd_changed:
            stale.add(f"{stage.addressing}: its command")
        for dep in stage.deps:
            if isinstance(dep, ParamsDependency) or str(dep).startswith(CODE):
                compared += 1
                if dep.status():
                    stale.add(f"{stage.addressing}: {dep}")
    assert compared > 200
    assert not stale, FIX


def test_tables_and_metrics_are_those_of_dvc_lock(stages: Any):
    outs = [out for stage in stages for out in stage.outs if str(out) in COMMITTED]
    assert len(outs) == len(COMMITTED)
    assert not [str(out) for out in outs if out.status()], FIX
