"""A finished toy build to look at, and one database for the whole session."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from avsynth.core.paths import Layout
from avsynth.inspection.fiftyone_app.database import URI_VARIABLE, database


@pytest.fixture
def project(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A finished build of one's own (hard links), with a cache of its own."""
    root = tmp_path / "project"
    shutil.copytree(built, root, copy_function=os.link)
    monkeypatch.setenv("AVSYNTH_CACHE", str(tmp_path / "cache"))
    return Layout(root)


@pytest.fixture(scope="session")
def database_uri(tmp_path_factory: pytest.TempPathFactory):
    with database(tmp_path_factory.mktemp("database")) as uri:
        yield uri
        if "fiftyone" in sys.modules:  # It leaves its connections open.
            import mongoengine
            from fiftyone.core.odm import database as connections

            connections._client.close()
            mongoengine.disconnect_all()


@pytest.fixture
def fiftyone(database_uri: str, monkeypatch: pytest.MonkeyPatch):
    """FiftyOne on a database without any dataset."""
    for name, value in {
        URI_VARIABLE: database_uri,
        "FIFTYONE_DO_NOT_TRACK": "1",
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "FIFTYONE_SERVER": "1",
    }.items():
        monkeypatch.setenv(name, value)
    import fiftyone

    fiftyone.delete_datasets("*")
    return fiftyone
