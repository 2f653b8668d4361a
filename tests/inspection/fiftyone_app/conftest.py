"""Fixtures: a finished toy build to inspect, and one database for the session."""

import sys
from pathlib import Path

import pytest

from avsynth.core.paths import Layout
from avsynth.inspection.fiftyone_app.database import URI_VARIABLE, database
from tests.helpers.inspections import linked_project


@pytest.fixture
def project(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Return a copy of the finished build (hard links), with a cache of its own."""
    return linked_project(built, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def database_uri(tmp_path_factory: pytest.TempPathFactory):
    with database(tmp_path_factory.mktemp("database")) as uri:
        yield uri
        if "fiftyone" in sys.modules:  # FiftyOne leaves its connections open.
            import mongoengine
            from fiftyone.core.odm import database as connections

            connections._client.close()
            mongoengine.disconnect_all()


@pytest.fixture
def fiftyone(database_uri: str, monkeypatch: pytest.MonkeyPatch):
    """Return FiftyOne with a database that has no dataset."""
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
