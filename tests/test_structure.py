"""The laws of the house: imports, the cost of the command line, and one name for everything."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from avsynth.core.params.load import Params
from avsynth.pipelines import STAGES
from tests.conftest import REPOSITORY

ROOMS = (
    "runtime", "core", "formats", "metrics", "sources", "download", "toy", "building",
    "benchmarks", "loading", "training", "models", "evaluation", "reports", "inspection",
    "exports", "pipelines", "commands", "cli",
)  # fmt: skip
"""A module imports only from its own room and from rooms before it."""
LAST_ROOM_WITHOUT_TORCH = "benchmarks"
LATER_ROOMS_WITHOUT_TORCH = {"reports", "inspection", "exports"}
TORCH_MODULES = {"runtime.torchvision_compat", "metrics.frames", "metrics.semantic"}
"""The modules of the first rooms that are of use with torch alone."""
NO_ROOMS = {"resources", "__init__", "__main__"}
"""Data files, and the two modules that every package has."""
HEAVY = {"torch", "torchvision", "torchaudio", "segment_anything", "fiftyone", "ray", "dvclive"}


def room_of(module: str) -> str:
    """Return the room of a module below avsynth, e.g. ``sources`` of ``sources.masks.lvis``."""
    return module.split(".")[0]


def sources() -> Iterator[tuple[str, Path]]:
    """Yield every module of the library with its file."""
    for folder, prefix in (("avsynth", ""), ("models", "models."), ("pipelines", "pipelines.")):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            relative = path.relative_to(REPOSITORY / folder)
            if folder == "avsynth" and relative.parts[0] in ("models", "pipelines"):
                continue
            yield prefix + ".".join(relative.with_suffix("").parts), path


def imports(path: Path, *, inside_functions: bool) -> Iterator[str]:
    """Yield the modules that a file imports, each name of a ``from`` as a possible module."""
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not inside_functions:
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))


def test_every_room_has_its_place_in_the_order():
    folders = {path.name for path in (REPOSITORY / "avsynth").iterdir() if path.is_dir()}
    files = {path.stem for path in (REPOSITORY / "avsynth").glob("*.py")}
    assert (folders | files) - NO_ROOMS - {"__pycache__"} == set(ROOMS)


def test_a_module_imports_only_from_its_own_room_and_the_rooms_before_it():
    checked, broken = 0, []
    for module, path in sources():
        if room_of(module) in NO_ROOMS:
            continue
        for imported in set(imports(path, inside_functions=True)):
            target = room_of(imported.removeprefix("avsynth."))
            if imported.startswith("avsynth.") and target in ROOMS:
                checked += 1
                if ROOMS.index(target) > ROOMS.index(room_of(module)):
                    broken.append(f"{module} imports {imported}")
    assert not broken
    assert checked > 500


def test_no_stage_imports_another_stage():
    checked = 0
    for module, path in sources():
        stage = module.removeprefix("pipelines.")
        if stage in STAGES and stage != "build":
            names = set(imports(path, inside_functions=True))
            assert not names & {f"avsynth.pipelines.{s}" for s in set(STAGES) - {stage}}, module
            checked += 1
    assert checked > 5


def loaded_by(module: str) -> set[str]:
    """Return every module that importing ``module`` of the library loads, at any depth."""
    files = dict(sources())
    files |= {m.removesuffix(".__init__"): path for m, path in files.items()}
    seen: set[str] = set()
    pending = [module]
    while pending:
        for imported in imports(files[pending.pop()], inside_functions=False):
            name = imported.removeprefix("avsynth.")
            if imported not in seen:
                seen.add(imported)
                if imported.startswith("avsynth.") and name in files:
                    pending.append(name)
    return seen


def test_what_needs_no_torch_loads_none():
    light_rooms = {*ROOMS[: ROOMS.index(LAST_ROOM_WITHOUT_TORCH) + 1], *LATER_ROOMS_WITHOUT_TORCH}
    checked = 0
    for module, _ in sources():
        if room_of(module) in light_rooms and module not in TORCH_MODULES:
            loaded = {name.split(".")[0] for name in loaded_by(module)}
            assert not loaded & HEAVY, f"{module} loads {loaded & HEAVY}"
            checked += 1
    assert checked > 100


def test_models_know_nothing_of_the_library_but_the_contract():
    allowed = {
        "loading", "runtime", "models", "core.files", "core.hashing", "formats.waveform",
        "formats.safe_pickle",
    }  # fmt: skip
    found = 0
    for module, path in sources():
        if module.startswith("models"):
            for imported in imports(path, inside_functions=True):
                if imported.startswith("avsynth."):
                    _, room, *rest = imported.split(".")
                    known = {room, ".".join([room, *rest[:1]])} & allowed
                    assert known, f"{module} imports {imported}"
                    found += 1
    assert found > 5


def test_help_loads_nothing_heavy():
    program = (
        "import sys\n"
        "from avsynth.cli.main import app\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heavy = HEAVY | {"pandas", "numpy", "pyarrow", "pydantic", "aiohttp", "yt_dlp"}
    assert not heavy & set(run.stdout.split())


def stages_of_dvc() -> dict[str, dict[str, Any]]:
    content = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())
    return {name: body.get("do", body) for name, body in content["stages"].items()}


def test_stage_command_dvc_stage_and_file_have_one_name():
    dvc = stages_of_dvc()
    assert set(dvc) <= set(STAGES)
    assert {"fetch", "categories", "masks", "audio", "match", "shard"} <= set(dvc)
    for name in STAGES:
        tree = ast.parse((REPOSITORY / "pipelines" / f"{name}.py").read_text())
        assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, name
    for name, body in dvc.items():
        assert body["cmd"].split()[:2] == ["avsynth", name]


def test_dvc_names_only_parameters_and_code_that_exist():
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    for name, body in stages_of_dvc().items():
        for key in body.get("params", []):
            node = raw
            for part in re.sub(r"\.\$\{.*", "", key).split("."):
                assert part in node, f"{name}: {key}"
                node = node[part]
        for dep in body["deps"]:
            if dep.startswith(("avsynth/", "models/", "pipelines/")) and "$" not in dep:
                assert (REPOSITORY / dep).exists(), f"{name}: {dep}"


def test_every_path_between_stages_is_one_that_the_layout_spells():
    from avsynth.core.paths import Layout

    layout = Layout(Path())
    spelt = {
        layout.categories_csv, layout.masks("${key}"), layout.audio("${key}"),
        layout.raw_files("masks", "${key}"), layout.raw_files("audio", "${key}"),
        layout.exclusions_csv, layout.inputs("").parent, layout.funnel("exclusions"),
        layout.triplets_csv, layout.clips_csv, layout.shards("avs-synthetic"),
        layout.funnel("fetch/${key}"), layout.funnel("categories"), layout.funnel("inputs"),
        layout.funnel("masks/${key}"), layout.funnel("audio/${key}"),
        layout.funnel("match"), layout.funnel("shard"),
    }  # fmt: skip
    dvc = stages_of_dvc()
    for name in ("fetch", "categories", "masks", "audio", "exclusions", "inputs", "match", "shard"):
        for out in dvc[name]["outs"]:
            path = Path(next(iter(out)) if isinstance(out, dict) else out)
            assert path in spelt | {Path("${item}")}, f"{name}: {path}"


def test_params_hold_every_value_and_no_other():
    raw = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    assert set(raw) == set(Params.model_fields)


@pytest.mark.parametrize("folder", ["models", "pipelines"])
def test_top_level_folders_refuse_any_other_import_name(folder: str):
    run = subprocess.run(
        [sys.executable, "-c", f"import {folder}"],
        capture_output=True, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert run.returncode != 0
    assert f"import this package as avsynth.{folder}" in run.stderr


def test_files_and_functions_keep_to_their_size():
    too_long = []
    for module, path in sources():
        text = path.read_text()
        if text.count("\n") > 400:
            too_long.append(f"{module}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > 60:
                    too_long.append(f"{module}.{node.name}: {length} lines")
    assert not too_long
