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

ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "records", "section", "experiment_params", "overrides", "config", "paths"),
    ("tables", "cache", "executors", "cluster", "progress"),
    ("categories", "masks", "audio", "toy", "download", "exclusion", "reviews"),
    ("matching", "shards", "storage", "packing", "composing", "benchmarks", "project"),
    (),  # Row 5 is everything not named in another row: what may load torch.
    ("reports", "viewer", "funnel", "gallery", "stats", "show"),
    ("models",),
    ("pipelines",),
    ("cli", "command", "looking", "__main__"),
)
TORCH_FREE_ROWS = 4
HEAVY = {"torch", "torchvision", "torchaudio", "segment_anything", "fiftyone", "ray", "dvclive"}
STDLIB_OR_LIGHT = {"__init__", "data"}


def row_of(module: str) -> int:
    """Give the row (1..9) of a module below avsynth, e.g. ``masks.lvis``."""
    first = module.split(".")[0]
    for number, names in enumerate(ROWS, start=1):
        if first in names:
            return number
    return 5


def sources() -> Iterator[tuple[str, Path]]:
    """Yield every module of the library with its file."""
    for folder, prefix in (("avsynth", ""), ("models", "models."), ("pipelines", "pipelines.")):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            relative = path.relative_to(REPOSITORY / folder)
            if folder == "avsynth" and relative.parts[0] in ("models", "pipelines"):
                continue
            yield prefix + ".".join(relative.with_suffix("").parts), path


def top_level_imports(path: Path) -> Iterator[str]:
    """Yield the modules that importing a file imports; not those inside functions."""
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        pending.extend(ast.iter_child_nodes(node))


def test_a_module_imports_only_from_its_row_and_the_rows_above():
    checked = 0
    for module, path in sources():
        if module in STDLIB_OR_LIGHT:
            continue
        for imported in top_level_imports(path):
            if not imported.startswith("avsynth."):
                continue
            target = imported.removeprefix("avsynth.")
            if (row_of(module), target.split(".")[0]) == (9, "pipelines"):
                continue  # The stages' names, which load nothing.
            assert row_of(target) <= row_of(module), f"{module} imports {imported}"
            checked += 1
    assert checked > 50


def test_no_stage_imports_another_stage():
    for module, path in sources():
        stage = module.removeprefix("pipelines.")
        if stage in STAGES:
            names = {i.removeprefix("avsynth.pipelines.") for i in top_level_imports(path)}
            assert not names & (set(STAGES) - {stage}), module


def test_a_dataset_can_be_built_without_torch():
    checked = 0
    for module, path in sources():
        if row_of(module) <= TORCH_FREE_ROWS:
            loaded = {name.split(".")[0] for name in top_level_imports(path)}
            assert not loaded & HEAVY, f"{module} imports {loaded & HEAVY}"
            checked += 1
    assert checked > 20


def test_models_know_nothing_of_the_library_but_the_contract():
    allowed = {"batch", "errors", "config", "cpu_wheels", "models"}
    found = 0
    for module, path in sources():
        if module.startswith("models"):
            for imported in top_level_imports(path):
                if imported.startswith("avsynth."):
                    assert imported.split(".")[1] in allowed, f"{module} imports {imported}"
                    found += 1
    assert found > 5


def test_help_loads_nothing_heavy_and_answers_at_once():
    program = (
        "import sys, time; start = time.process_time()\n"
        "import avsynth.cli.main\n"
        "from typer.testing import CliRunner\n"
        "assert CliRunner().invoke(avsynth.cli.main.app, ['--help']).exit_code == 0\n"
        "print(time.process_time() - start, *sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    seconds, *modules = run.stdout.split()
    heavy = HEAVY | {"pandas", "numpy", "pyarrow", "pydantic", "aiohttp", "yt_dlp"}
    assert not heavy & set(modules)
    assert float(seconds) < 0.6


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
        layout.triplets_csv, layout.clips_csv, layout.shards("avs-synthetic"),
        layout.funnel("fetch/${item}"), layout.funnel("categories"),
        layout.funnel("masks/${key}"), layout.funnel("audio/${key}"),
        layout.funnel("match"), layout.funnel("shard"),
    }  # fmt: skip
    dvc = stages_of_dvc()
    for name in ("fetch", "categories", "masks", "audio", "match", "shard"):
        for out in dvc[name]["outs"]:
            path = Path(next(iter(out)) if isinstance(out, dict) else out)
            assert path in spelt, f"{name}: {path}"


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
