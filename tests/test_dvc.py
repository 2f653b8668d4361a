"""dvc.yaml names everything that can change a stage's outputs: code, data and parameters."""

import ast
import re
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from pydantic import BaseModel

from avsynth import __version__
from avsynth.core.hashing import source_files
from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.models import MODELS
from avsynth.runtime.options import Runtime
from tests.conftest import REPOSITORY, TOY_SETTINGS

TABLES_OF_NAMES = {"avsynth/__init__.py", "models/__init__.py", "pipelines/__init__.py"}
"""The version, which is a parameter of every stage; names of models and help texts of stages."""
RUN_EVERY_TIME = {"categories", "exclusions", "inputs"}


def stages_of_dvc() -> dict[str, dict[str, Any]]:
    """Return the body of every stage of dvc.yaml, without its foreach."""
    content = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())
    return {name: body.get("do", body) for name, body in content["stages"].items()}


STAGES_OF_DVC = stages_of_dvc()


def covered(path: str, deps: list[str]) -> bool:
    """Return whether a path is one of the dependencies or lies below one."""
    return any(path == dep or path.startswith(f"{dep}/") for dep in deps)


def code_of(module: str) -> Iterator[str]:
    """Yield the files of a module's code, relative to the repository, that hold more than text."""
    for path in source_files(module).values():
        name = path.relative_to(REPOSITORY).as_posix()
        statements = ast.parse(path.read_bytes()).body
        only_text = all(isinstance(node, ast.Expr) for node in statements)
        if not only_text and name not in TABLES_OF_NAMES:
            yield name


@pytest.mark.parametrize("stage", STAGES_OF_DVC)
def test_a_stage_depends_on_all_the_code_that_it_can_run(stage: str):
    deps = STAGES_OF_DVC[stage]["deps"]
    files = set(code_of(f"avsynth.pipelines.{stage}"))
    assert f"pipelines/{stage}.py" in files
    if "models/backbones/sam.py" in files:
        own = {f"models/{name}.py" for name in MODELS}
        assert any(dep in ("models/${item}.py", "models/${item.model}.py") for dep in deps)
        assert not files & own, "a change of one model retrains the others"
        for name in MODELS:
            files |= set(code_of(f"avsynth.models.{name}")) - {f"models/{name}.py"}
        assert not files & own, "one model imports another"
    assert {name for name in files if not covered(name, deps)} == set()


def test_the_code_of_every_stage_is_much_less_than_the_library():
    everything = sum(1 for _ in (REPOSITORY / "avsynth").rglob("*.py"))
    sizes = {stage: len(set(code_of(f"avsynth.pipelines.{stage}"))) for stage in STAGES_OF_DVC}
    assert sizes["match"] < 25
    assert max(sizes.values()) < 0.6 * everything


@pytest.mark.parametrize("stage", STAGES_OF_DVC)
def test_a_stage_depends_on_the_version_and_not_on_the_command_line(stage: str):
    body = STAGES_OF_DVC[stage]
    assert "avsynth" in body["params"]
    assert not [dep for dep in body["deps"] if dep.startswith(("avsynth/cli", "avsynth/runtime"))]
    assert bool(body.get("always_changed")) == (stage in RUN_EVERY_TIME)


def test_packaged_files_that_a_stage_reads_are_dependencies():
    readers = {
        "categories.csv": "avsynth/sources/categories.py",
        "page.html": "avsynth/reports/page/html.py",
        "papers.csv": "avsynth/reports/papers.py",
        "sources.yaml": "avsynth/download/catalog.py",
    }
    checked = 0
    for stage, body in STAGES_OF_DVC.items():
        files = set(code_of(f"avsynth.pipelines.{stage}"))
        for resource, reader in readers.items():
            if reader in files and stage not in READ_ONLY_CHOSEN.get(resource, ()):
                assert f"avsynth/resources/{resource}" in body["deps"], f"{stage}: {resource}"
                checked += 1
    assert checked >= 5


READ_ONLY_CHOSEN = {"categories.csv": ("masks", "audio")}
"""Stages that import the reader of the table but read data/interim/categories.csv with it."""


@pytest.mark.parametrize("preset", sorted((REPOSITORY / "presets").glob("*.yaml")), ids=str)
def test_a_preset_is_for_this_version(preset: Path):
    assert yaml.safe_load(preset.read_text())["avsynth"] == __version__


class Recorder:
    """Stands in for a section of params.yaml and records the dotted keys that are read."""

    def __init__(self, section: Any, place: str, read: set[str]) -> None:
        self._section, self._place, self._read = section, place, read

    def __getattr__(self, name: str) -> Any:
        section = object.__getattribute__(self, "_section")
        dotted = f"{self._place}.{name}".lstrip(".")
        if name in type(section).model_fields:
            return self._wrap(getattr(section, name), dotted)
        member = getattr(type(section), name)
        if isinstance(member, property):
            return member.fget(self)
        if hasattr(BaseModel, name):  # model_dump and its like read the whole section.
            self._read.add(self._place)
            return getattr(section, name)
        return lambda *args: member(self, *args)

    def _wrap(self, value: Any, dotted: str) -> Any:
        if isinstance(value, BaseModel):
            return Recorder(value, dotted, self._read)
        if isinstance(value, dict):
            return RecordedItems(value, lambda key, one: self._wrap(one, f"{dotted}.{key}"))
        self._read.add(dotted)
        return value

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class RecordedItems(dict[str, Any]):
    """Stands in for a mapping of params.yaml: records which items are read."""

    def __init__(self, content: dict[str, Any], wrap: Callable[[str, Any], Any]) -> None:
        super().__init__(content)
        self._wrap = wrap

    def __getitem__(self, key: str) -> Any:
        return self._wrap(key, super().__getitem__(key))

    def get(self, key: str, default: Any = None) -> Any:
        return self._wrap(key, super().get(key, default)) if key in self else default

    def items(self) -> Any:
        return [(key, self[key]) for key in self]

    def values(self) -> Any:
        return [self[key] for key in self]


def runs_of(stage: str, raw: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Expand a stage of dvc.yaml as DVC does: arguments of the command -> deps, outs and params."""
    body = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"][stage]

    def lookup(dotted: str, node: Any) -> Any:
        for part in dotted.split("."):
            node = node[part]
        return node

    if "matrix" in body:
        axes = {name: lookup(axis[2:-1], raw) for name, axis in body["matrix"].items()}
        values = [dict(zip(axes, chosen, strict=True)) for chosen in product(*axes.values())]
        scopes = [{"item": value} for value in values]
    elif "foreach" in body:
        chosen = lookup(body["foreach"][2:-1], raw)
        pairs = chosen.items() if isinstance(chosen, dict) else [(None, one) for one in chosen]
        scopes = [{"key": key, "item": item} for key, item in pairs]
    else:
        scopes = [{}]

    def fill(value: Any, scope: dict[str, Any]) -> Any:
        if isinstance(value, str):
            return re.sub(r"\$\{([^}]+)\}", lambda m: str(lookup(m[1], scope)), value)
        return [fill(next(iter(v)) if isinstance(v, dict) else v, scope) for v in value]

    parts = body.get("do", body)
    return {
        " ".join(fill(parts["cmd"], scope).split()[2:]): {
            name: fill(parts.get(name, []), scope)
            for name in ("deps", "outs", "metrics", "plots", "params")
        }
        for scope in scopes
    }


def function_of(stage: str) -> Callable[..., Any]:
    run: Callable[..., Any] = getattr(import_module(f"avsynth.pipelines.{stage}"), stage)
    return run


def copy_dependencies(full: Path, root: Path, deps: list[str]) -> None:
    """Link a project's params.yaml and a stage's data dependencies into a new folder.

    The digests of raw files stand for the files: where a stage depends on them, these come too.
    """
    root.mkdir()
    shutil.copy(full / "params.yaml", root)
    for dep in deps:
        if dep.startswith(("data/", "runs/", "reports/")):
            copy = shutil.copytree if (full / dep).is_dir() else shutil.copy
            (root / dep).parent.mkdir(parents=True, exist_ok=True)
            copy(
                full / dep,
                root / dep,
                **({"dirs_exist_ok": True} if copy is shutil.copytree else {}),
            )
    params = load_params(full)
    for kind, folders in (("masks", params.masks.folders()), ("audio", params.audio.folders())):
        for source, folder in folders.items():
            named = root / f"data/interim/files/{kind}/{source}.csv"
            for file in pd.read_csv(named)["file"] if named.exists() else ():
                (root / folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(full / folder / file, root / folder / file)


def content_of(root: Path, outs: list[str]) -> dict[str, bytes]:
    """Read all files of a stage's outputs."""
    files = [path for out in outs for path in [root / out, *(root / out).rglob("*")]]
    return {str(p.relative_to(root)): p.read_bytes() for p in files if p.is_file()}


def check_stage(stage: str, full: Path, folder: Path, settings: tuple[str, ...]) -> int:
    """Run a stage with all items in a whole project, and in one that holds its dependencies only.

    Returns:
        How many parameters and output files were compared.
    """
    compared = 0
    raw = yaml.safe_load((full / "params.yaml").read_text())
    for arguments, parts in runs_of(stage, raw).items():
        alone = folder / f"{stage} {arguments}"
        copy_dependencies(full, alone, parts["deps"])
        for root in (full, alone):
            read: set[str] = set()
            recorder: Any = Recorder(load_params(root, settings), "", read)
            items = arguments.split()
            function_of(stage)(*items, recorder, Layout(root), Runtime(1, "serial", quiet=True))
            assert not [key for key in read if not is_listed(key, parts["params"])]
        outs = [*parts["outs"], *parts["metrics"], *parts["plots"]]
        assert all((alone / out).exists() for out in outs)
        if stage not in RUN_EVERY_TIME:
            assert content_of(alone, outs) == content_of(full, outs), f"{stage} {arguments}"
        compared += len(read) + len(outs)
    return compared


def is_listed(key: str, params: list[str]) -> bool:
    """Return whether a key of params.yaml is one of a stage's parameters or lies in one."""
    return any(key == one or key.startswith(f"{one}.") for one in params)


def test_data_stages_need_nothing_but_what_dvc_yaml_names(built: Path, tmp_path: Path):
    full = tmp_path / "full"
    shutil.copytree(built, full)
    stages = ("categories", "masks", "audio", "exclusions", "inputs", "match", "shard", "convert")
    for stage in stages:
        assert check_stage(stage, full, tmp_path, TOY_SETTINGS) > 3, stage
    check_stage("fetch", full, tmp_path, TOY_SETTINGS)


@pytest.mark.slow
def test_training_stages_need_nothing_but_what_dvc_yaml_names(built: Path, tmp_path: Path):
    full = tmp_path / "full"
    shutil.copytree(built, full)
    raw = yaml.safe_load((full / "params.yaml").read_text())
    for section in ("fewshot", "s4_to_ms3", "v3_base", "v3_shots", "ablate"):
        raw[section]["epochs"] = 1
    for model in raw["models"].values():
        model["train"]["epochs"] = 1
    raw["train"]["models"] = raw["zeroshot"]["models"] = ["sama_avs", "save"]
    raw["zeroshot"]["benchmarks"] = ["s4"]
    raw["fewshot"] |= {"models": ["sama_avs"], "percents": [0, 100]}
    raw["v3_shots"]["shots"] = [1]
    raw["report"]["draws"] = 10
    (full / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    for arguments in ("s4", "ms3", "v3", "v3-1shot"):
        function_of("convert")(arguments, load_params(full), Layout(full), Runtime(1, "serial"))
    function_of("inputs")(load_params(full), Layout(full), Runtime(1, "serial"))
    for stage in list(STAGES_OF_DVC)[list(STAGES_OF_DVC).index("train") :]:
        assert check_stage(stage, full, tmp_path, ()) > 5, stage
