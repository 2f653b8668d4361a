"""Media files of samples, and the server that makes them on request."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from avsynth.formats.images import decode_image, decode_mask
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import decode_flac
from avsynth.inspection.fiftyone_app.media import (
    FRAMES_PER_S,
    MASK,
    PREVIEW,
    SPECTROGRAM,
    SPECTROGRAM_PX,
    file_content,
    make_file,
    preview_size,
    tight_box,
)
from avsynth.inspection.fiftyone_app.server import Media
from avsynth.runtime.errors import DataError


@pytest.fixture(scope="module")
def reader(built):
    return ShardReader(built / "data" / "shards" / "avs-synthetic")


def test_an_image_has_the_bytes_of_the_shard(reader):
    parts = reader.parts(reader.keys[0])
    name = next(n for n in parts if n.startswith("image."))
    assert file_content(parts, name) == parts[name]


def test_a_mask_is_cut_to_its_box(reader):
    parts = reader.parts(reader.keys[0])
    whole = decode_mask(parts[MASK])
    cut = np.asarray(Image.open(io.BytesIO(file_content(parts, MASK))))
    x0, y0, x1, y1 = tight_box(whole)
    assert cut.dtype == np.uint8
    assert set(np.unique(cut)) <= {0, 255}
    assert (cut == whole[y0:y1, x0:x1] * 255).all()
    assert (cut > 0).sum() == whole.sum()


def test_the_box_of_an_empty_mask_is_the_whole_image():
    assert tight_box(np.zeros((5, 7), bool)) == (0, 0, 7, 5)
    one = np.zeros((5, 7), bool)
    one[2, 3] = True
    assert tight_box(one) == (3, 2, 4, 3)


def test_a_spectrogram_has_the_size_in_the_dataset(reader):
    content = file_content(reader.parts(reader.keys[0]), SPECTROGRAM)
    assert Image.open(io.BytesIO(content)).size == SPECTROGRAM_PX[::-1]


@pytest.mark.parametrize("number", [0, 5, -1])
def test_a_preview_shows_the_image_and_plays_the_audio(reader, number):
    parts = reader.parts(reader.keys[number])
    name = next(n for n in parts if n.startswith("image."))
    with av.open(io.BytesIO(file_content(parts, PREVIEW))) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    with av.open(io.BytesIO(file_content(parts, PREVIEW))) as video:
        assert video.streams.video[0].codec.name == "h264"
        assert video.streams.audio[0].codec.name == "aac"
        played = np.concatenate([f.to_ndarray()[0] for f in video.decode(audio=0)])
    audio = decode_flac(parts["audio.flac"])
    assert len(frames) == round(len(audio) / 16_000 * FRAMES_PER_S)
    assert frames[0].shape[:2] == preview_size(*decode_image(parts[name]).shape[:2])
    lines = [np.abs(f[-40].astype(int) - (200, 74, 27)).sum(1).argmin() for f in frames]
    assert lines[0] < 4
    assert lines[-1] > frames[0].shape[1] - 6
    loudness = np.sqrt(np.mean(audio**2))
    assert np.sqrt(np.mean(played[: len(audio)] ** 2)) == pytest.approx(loudness, rel=0.15)


def test_sizes_of_previews_are_even_and_bounded():
    for height, width in ((1, 1), (333, 777), (4000, 3000), (480, 480), (3, 9001)):
        preview_height, preview_width = preview_size(height, width)
        assert preview_height % 2 == preview_width % 2 == 0
        assert 2 <= preview_width <= 480
        assert preview_height <= 480 + 80


def test_several_threads_may_make_the_same_file_at_once(reader, tmp_path):
    path = tmp_path / "tar" / "key" / MASK
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: make_file(reader, reader.keys[0], path), range(32)))
    assert path.read_bytes() == file_content(reader.parts(reader.keys[0]), MASK)
    assert [p.name for p in path.parent.iterdir()] == [MASK]


def test_an_unknown_name_is_refused(reader):
    with pytest.raises(DataError, match="logmel"):
        file_content(reader.parts(reader.keys[0]), "logmel.npy")


def test_the_server_provides_the_files_of_the_inspection_only(project, tmp_path, reader):
    cache = tmp_path / "cache" / "inspect"
    media = Media(project, cache, [project.raw / "images"])
    tar = reader.shards[0].sha256[:16]
    key = reader.shards[0].keys[0]
    assert media.provide(cache / tar / key / SPECTROGRAM)
    assert (cache / tar / key / SPECTROGRAM).is_file()
    secret = tmp_path / "secret.txt"
    secret.write_text("mine")
    refused = [
        secret, Path("/etc/passwd"), Path("secret.txt"), cache / ".." / ".." / "secret.txt",
        cache / tar / "no-such-key" / MASK, cache / ("0" * 16) / key / MASK,
        cache / tar / key / "logmel.npy", cache / tar / key, cache / tar,
        project.root / "params.yaml", Path(),
    ]  # fmt: skip
    assert not any(media.provide(path) for path in refused)
