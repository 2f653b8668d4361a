import numpy as np
import pytest

from avsynth.core.params.building import AudioParams
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.records import AudioClip
from avsynth.core.tables import read_table
from avsynth.formats.waveform import encode_wav
from avsynth.pipelines.audio import audio
from avsynth.runtime.errors import ConfigError, DropLimitError
from avsynth.runtime.options import Runtime
from avsynth.sources.categories import load_vocabulary, write_vocabulary


def make_params(limit: float = 0.5) -> Params:
    changed = {
        "sources": {"vggsound": {"root": "vggsound", "table": "vggsound.csv", "media": "audio"}},
        "filters": {"min_duration_s": 1.0, "min_rms_db": -60.0},
        "max_drop_frac": limit,
    }
    return Params.model_construct(audio=AudioParams.model_validate(changed))


@pytest.fixture
def layout(tmp_path) -> Layout:
    media = tmp_path / "vggsound" / "audio"
    media.mkdir(parents=True)
    rng = np.random.default_rng(3)
    sound = encode_wav(rng.uniform(-0.5, 0.5, 32_000).astype(np.float32))
    rows = []
    for n in range(6):
        name = f"video{n:0>6}"
        rows.append(f"{name},{n},{'dog barking' if n % 2 else 'cat meowing'},train")
        if n < 4:
            (media / f"{name}_{n:06d}.wav").write_bytes(sound if n else b"damaged")
    (tmp_path / "vggsound" / "vggsound.csv").write_text("\n".join(rows) + "\n")
    layout = Layout(tmp_path)
    write_vocabulary(layout.categories_csv, load_vocabulary().choose(["cat", "dog"]))
    return layout


def test_writes_the_table_and_its_funnel(layout):
    funnel = audio("vggsound", make_params(), layout, Runtime())
    table = read_table(layout.audio("vggsound"), AudioClip)
    keys = list(zip(table["category"], table["clip_id"], strict=True))
    assert keys == sorted(keys)
    assert len(table) == funnel["count"].sum() == 6
    counts = funnel.set_index(["category", "reason"])["count"].to_dict()
    assert counts == {
        ("cat", ""): 1,
        ("cat", "missing_file"): 1,
        ("cat", "undecodable"): 1,
        ("dog", ""): 2,
        ("dog", "missing_file"): 1,
    }
    assert (
        layout.funnel("audio/vggsound")
        .read_text()
        .startswith("stage,source,kind,category,split,status,reason,count\n")
    )


def test_workers_give_the_same_bytes(layout):
    audio("vggsound", make_params(), layout, Runtime())
    alone = layout.audio("vggsound").read_bytes()
    audio("vggsound", make_params(), layout, Runtime(workers=2, executor="process"))
    assert layout.audio("vggsound").read_bytes() == alone


def test_missing_files_do_not_count_against_the_limit_and_damaged_ones_do(layout):
    audio("vggsound", make_params(limit=0.25), layout, Runtime())  # 1 of the 4 existing files
    with pytest.raises(DropLimitError, match="1 undecodable"):
        audio("vggsound", make_params(limit=0.24), layout, Runtime())


def test_unknown_source_is_suggested(layout):
    with pytest.raises(ConfigError, match="Did you mean 'vggsound'"):
        audio("vgsound", make_params(), layout, Runtime())
