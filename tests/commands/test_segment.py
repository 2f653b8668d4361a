"""One image and one audio file through a trained run: mask and overlay at the image's size."""

import shutil

import numpy as np
import pytest
from PIL import Image

from avsynth.core.params.load import load_params
from avsynth.core.paths import Layout
from avsynth.formats.images import decode_image
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import encode_wav
from avsynth.runtime.errors import CheckpointError, DataError
from avsynth.runtime.options import Runtime

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def project(built, tmp_path_factory):
    """Return a project with an untrained SAVE as a run, an image and three seconds of audio."""
    from avsynth.models.checkpoints import save_trained
    from avsynth.pipelines.shared.models import build_model, parameters
    from avsynth.pipelines.shared.project import Project

    root = tmp_path_factory.mktemp("segment")
    shutil.copy(built / "params.yaml", root)
    layout, params = Layout(root), load_params(root)
    project = Project(params, layout, Runtime())
    weights = layout.runs / "train" / "save" / "weights.safetensors"
    save_trained(build_model(project, "save"), weights, parameters(project, "save"))
    reader = ShardReader(Layout(built).shards("avs-synthetic"), "test")
    parts = reader.parts(reader.keys[0])
    (root / "picture.jpg").write_bytes(parts["image.jpg"])
    loud = np.sin(np.arange(16_000) * 0.2).astype(np.float32)
    quiet = 0.01 * loud
    (root / "sound.wav").write_bytes(encode_wav(np.concatenate([quiet, loud, quiet])))
    return params, layout


def run(project, out, model="train/save", sound="sound.wav", second=None, image="picture.jpg"):
    from avsynth.commands.segment import AudioInput, segment

    params, layout = project
    audio = AudioInput(layout.root / sound, second)
    return segment(layout.root / image, audio, model, params, layout, Runtime(), out)


def test_mask_and_overlay_have_the_images_size_and_the_loudest_second_is_used(project, tmp_path):
    done = run(project, tmp_path)
    picture = decode_image((project[1].root / "picture.jpg").read_bytes())
    with Image.open(done.mask_png) as mask, Image.open(done.overlay_png) as overlay:
        assert mask.mode == "1"
        assert mask.size == overlay.size == picture.shape[1::-1]
        assert np.asarray(mask).mean() == pytest.approx(done.covered_frac)
    assert done.second == 1
    assert done.mask_png.name == "picture.mask.png"
    assert run(project, tmp_path, second=2).second == 2


def test_the_same_input_gives_the_same_bytes(project, tmp_path):
    first, second = (run(project, tmp_path / name) for name in ("a", "b"))
    assert first.mask_png.read_bytes() == second.mask_png.read_bytes()
    assert first.overlay_png.read_bytes() == second.overlay_png.read_bytes()


def test_a_portrait_photo_gives_an_upright_mask_and_overlay(project, tmp_path):
    root = project[1].root
    with Image.open(root / "picture.jpg") as picture:
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(root / "portrait.png", exif=exif)
        picture.transpose(Image.Transpose.ROTATE_270).save(root / "upright.png")
        width, height = picture.size
    portrait, upright = (run(project, tmp_path, image=f"{n}.png") for n in ("portrait", "upright"))
    with Image.open(portrait.mask_png) as mask:
        assert mask.size == (height, width)
    assert portrait.mask_png.read_bytes() == upright.mask_png.read_bytes()
    assert portrait.overlay_png.read_bytes() == upright.overlay_png.read_bytes()


def test_what_cannot_be_used_is_refused_and_nothing_written(project, tmp_path):
    root = project[1].root
    (root / "short.wav").write_bytes(encode_wav(np.zeros(8_000, np.float32)))
    (root / "damaged.jpg").write_bytes((root / "picture.jpg").read_bytes()[:500])
    with pytest.raises(DataError, match=r"at least one second; found 0\.50 s"):
        run(project, tmp_path, sound="short.wav")
    with pytest.raises(DataError, match=r"a second 3; found 3\.00 s"):
        run(project, tmp_path, second=3)
    with pytest.raises(DataError, match=r"damaged\.jpg"):
        run(project, tmp_path, image="damaged.jpg")
    with pytest.raises(DataError, match="an image"):
        run(project, tmp_path, image="absent.jpg")
    with pytest.raises(CheckpointError, match="no such file"):
        run(project, tmp_path, model="train/sve")
    assert list(tmp_path.iterdir()) == []
