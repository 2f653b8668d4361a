"""`params.yaml` as a frozen tree of pydantic models, and the runtime options that stay out of it.

Settings that can change an output byte are in `params.yaml`. Settings that cannot (device, workers,
executor, cache folder) are in `Runtime`. The file holds every value: there is no second default.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from avsynth import __version__
from avsynth.core.params.base import ParamsModel
from avsynth.core.params.building import (
    AudioParams,
    CategoriesParams,
    FetchParams,
    MasksParams,
    MatchParams,
    ShardParams,
)
from avsynth.core.params.experiments import (
    AblateParams,
    ConvertParams,
    EvaluateParams,
    FewshotParams,
    ModelParams,
    ReportParams,
    S4ToMs3Params,
    TrainParams,
    V3BaseParams,
    V3ShotsParams,
    VggishParams,
    ZeroshotParams,
)
from avsynth.core.params.overrides import apply_override, known_keys
from avsynth.core.params.safe_yaml import MAX_BYTES, parse_yaml
from avsynth.core.small_files import read_regular
from avsynth.runtime.errors import ConfigError, suggest

PARAMS_FILE = "params.yaml"


class Params(ParamsModel):
    """All sections of params.yaml."""

    avsynth: str
    """The version of avsynth that the file is for."""
    seed: Annotated[int, Field(ge=0)]
    fetch: FetchParams
    categories: CategoriesParams
    masks: MasksParams
    audio: AudioParams
    match: MatchParams
    shard: ShardParams
    vggish: VggishParams
    models: dict[str, ModelParams]
    convert: ConvertParams
    train: TrainParams
    evaluate: EvaluateParams
    zeroshot: ZeroshotParams
    fewshot: FewshotParams
    s4_to_ms3: S4ToMs3Params
    v3_base: V3BaseParams
    v3_shots: V3ShotsParams
    ablate: AblateParams
    report: ReportParams


def load_params(root: Path, overrides: Sequence[str] = ()) -> Params:
    """Read ``root/params.yaml`` and apply ``key=value`` overrides.

    Args:
        root: the project folder.
        overrides: dotted keys with YAML values, e.g. ``match.pairing=late``.

    Raises:
        ConfigError: no file, not YAML in UTF-8, an unknown key (with the nearest known one), a bad
            value, or a file for another version of avsynth.
    """
    path = root / PARAMS_FILE
    raw = _read(root, path)
    if not isinstance(raw, dict):
        raise ConfigError(str(path), "a mapping of sections", type(raw).__name__, "Fix the file.")
    for override in overrides:
        apply_override(raw, override, Params)
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        raise _readable(str(path), error) from None
    _check_version(str(path), params.avsynth)
    return params


def _read(root: Path, path: Path) -> Any:
    """Return what params.yaml holds.

    Raises:
        ConfigError: there is no such file, or it is not YAML in UTF-8 of a usual size.
    """
    try:
        content = read_regular(path, "a text file", MAX_BYTES, "Fix the file.", ConfigError)
    except FileNotFoundError:
        raise ConfigError(
            str(path),
            f"a project folder with a {PARAMS_FILE}",
            "none",
            f"Run 'avsynth init {root}' to make one, or name another folder with --root.",
        ) from None
    try:
        return parse_yaml(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        fix = "Save the file as UTF-8."
        raise ConfigError(str(path), "text in UTF-8", str(error.reason), fix) from None
    except ValueError as error:
        raise ConfigError(str(path), "YAML", str(error), "Fix the file.") from None


def _check_version(where: str, version: str) -> None:
    """Compare the version of params.yaml with the installed one.

    Raises:
        ConfigError: they differ: the same values may give other outputs.
    """
    if version != __version__:
        raise ConfigError(
            f"{where}: avsynth",
            f"{__version__}, the installed version",
            version,
            f"Set 'avsynth: {__version__}' to run every stage again with the installed version, "
            f"or install the one that the project was made with: pip install avsynth=={version}",
        )


def _readable(where: str, error: ValidationError) -> ConfigError:
    """Convert pydantic's list to one message that names every dotted key."""
    found, hints = [], []
    for item in error.errors():
        dotted = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            found.append(f"unknown key {dotted!r}")
            hints.append(suggest(str(item["loc"][-1]), known_keys(Params, item["loc"][:-1])))
        elif item["type"] == "missing":
            found.append(f"no key {dotted!r}")
        else:
            found.append(f"{dotted}: {item['msg']} (got {item.get('input')!r:.80})")
    fix = " ".join(dict.fromkeys(hints)) or "Correct the named values."
    return ConfigError(where, "known keys with valid values", "; ".join(found), fix)
