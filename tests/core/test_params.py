import os
from pathlib import Path

import pytest
import yaml

from avsynth.core.params.load import Params, load_params
from avsynth.runtime.errors import ConfigError
from tests.conftest import REPOSITORY


def write(root: Path, text: str) -> Path:
    (root / "params.yaml").write_text(text)
    return root


@pytest.mark.parametrize("preset", ["toy", "paper", "save256"])
def test_every_preset_is_valid(preset: str):
    raw = yaml.safe_load((REPOSITORY / "presets" / f"{preset}.yaml").read_text())
    assert Params.model_validate(raw).match.sizes.train > 0


def test_the_paper_preset_has_the_papers_sizes():
    raw = yaml.safe_load((REPOSITORY / "presets" / "paper.yaml").read_text())
    sizes = Params.model_validate(raw).match.sizes
    assert (sizes.train, sizes.val, sizes.test) == (52609, 5000, 5000)


def test_an_override_wins_over_the_file():
    assert load_params(REPOSITORY, ["match.pairing=fixed"]).match.pairing == "fixed"
    assert load_params(REPOSITORY, ["categories.choose=[dog, cat]"]).categories.choose == (
        "dog",
        "cat",
    )


def test_a_key_that_has_a_default_can_be_set_where_the_file_is_silent():
    params = load_params(REPOSITORY, ["models.save.train.shard=fsdp2"])
    assert params.models["save"].train.shard == "fsdp2"
    assert params.models["sama_avs"].train.shard == "none"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("match.pairng=fixed", "'match.pairng'.*Did you mean 'pairing'"),
        ("mtch.pairing=fixed", "'mtch'.*Did you mean 'match'"),
        ("match.pairing", "no '='"),
        ("match.pairing=sometimes", "match.pairing: Input should be 'fixed' or 'late'"),
        ("seed=-1", "seed: Input should be greater than or equal to 0"),
        ("masks.filters.min_area_frac=2", "masks.filters.min_area_frac"),
        ("match.pairing.x=1", "'match.pairing.x'"),
        ("models.save.train.shrad=fsdp2", "Did you mean 'shard'"),
        ("models.save.train.shard=all", "Input should be 'none' or 'fsdp2'"),
        ("models.save.build.hiden_dim=1", "'models.save.build.hiden_dim'"),
    ],
)
def test_a_bad_override_says_which_key(override: str, message: str):
    with pytest.raises(ConfigError, match=message):
        load_params(REPOSITORY, [override])


def test_a_misspelt_key_in_the_file_suggests_the_right_one(tmp_path: Path):
    text = (REPOSITORY / "params.yaml").read_text().replace("quiet_second_db", "quiet_second")
    with pytest.raises(ConfigError, match=r"match\.quiet_second.*Did you mean 'quiet_second_db'"):
        load_params(write(tmp_path, text))


def test_a_misspelt_key_inside_an_optional_section_suggests_too(tmp_path: Path):
    text = (REPOSITORY / "params.yaml").read_text().replace("images: data", "image: data")
    with pytest.raises(ConfigError, match=r"masks\.sources\.lvis\.image'.*Did you mean 'images'"):
        load_params(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [("seed: [", "YAML"), ("- a\n- b", "a mapping of sections"), ("", "a mapping of sections")],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str):
    with pytest.raises(ConfigError, match=message):
        load_params(write(tmp_path, text))


def test_a_folder_without_params_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(ConfigError, match="avsynth init"):
        load_params(tmp_path)


def test_a_source_that_is_not_configured_says_so():
    with pytest.raises(ConfigError, match=r"masks\.sources\.coco"):
        _ = load_params(REPOSITORY, ["masks.sources={}"]).masks.coco


_LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seed: 1".encode("utf-16"), "text in UTF-8"),
        (b"seed: \xff", "text in UTF-8"),
        (_LAUGHS.encode(), "values once its aliases are replaced"),
        (("m: &m {a: 1}\n" + _LAUGHS.replace("[", "{<<: [").replace("]", "]}")).encode(), "YAML"),
        (b"a: &a [*a]", "values once its aliases are replaced"),
        (b"a: " + b"[" * 100_000, "nested too deeply"),
        (b"a: " + b"{a: " * 100_000, "nested too deeply"),
        (b"- " * 100_000, "nested too deeply"),
        (b"seed: " + b"9" * 5000, "not text"),
        (b"seed: " + b"1:" * 100_000 + b"1", "not text"),
        (b"seed: !!timestamp no", "YAML"),
        (b"seed: 2001-99-99", "YAML"),
        (b"seed: !!int x", "YAML"),
        (b"seed: !!python/object/apply:os.system [true]", "YAML"),
        (b"? [a]\n: 1", "YAML"),
        (b"seed: \x00", "YAML"),
        (b"", "mapping of sections"),
        (b"a" * (2 << 20), "at most"),
    ],
    ids=range(18),
)
def test_a_params_file_that_is_no_usual_yaml_is_one_message(
    tmp_path: Path, content: bytes, message: str
):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_params(tmp_path)


def test_a_huge_params_file_is_not_read(tmp_path: Path):
    with (tmp_path / "params.yaml").open("wb") as file:
        file.truncate(200 << 20)
    with pytest.raises(ConfigError, match="209,715,200 bytes"):
        load_params(tmp_path)


def test_a_params_file_that_is_no_file_is_one_message(tmp_path: Path):
    (tmp_path / "folder" / "params.yaml").mkdir(parents=True)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "params.yaml")
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / "params.yaml").symlink_to("/dev/zero")
    for name in ("folder", "pipe", "device"):
        with pytest.raises(ConfigError, match=r"a folder, pipe or device|Is a directory"):
            load_params(tmp_path / name)


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_an_unreadable_params_file_is_one_message(tmp_path: Path):
    write(tmp_path, "seed: 1").joinpath("params.yaml").chmod(0)
    with pytest.raises(ConfigError, match="Permission denied"):
        load_params(tmp_path)


def test_anchors_of_a_usual_size_may_be_used(tmp_path: Path):
    text = (REPOSITORY / "presets" / "toy.yaml").read_text()
    write(tmp_path, text.replace("\nseed: ", "\nseed: &seed ", 1))
    assert load_params(tmp_path).seed == load_params(REPOSITORY).seed


@pytest.mark.parametrize(
    "value", ["[" * 100_000, "&a [*a]", "9" * 5000, "!!timestamp no", "\udcff", "\x00", "{a: &b"]
)
def test_an_override_that_is_no_usual_yaml_is_one_message(value: str):
    with pytest.raises(ConfigError, match="a YAML value"):
        load_params(REPOSITORY, [f"seed={value}"])
