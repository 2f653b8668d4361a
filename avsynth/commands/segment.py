"""Command ``segment``: segment the sounding objects of one image with a trained run."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from avsynth.core.files import atomic_file
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.core.project import Project
from avsynth.formats.images import ImageError, open_image, to_rgb, upright
from avsynth.formats.images import decode_image as decode_pixels
from avsynth.formats.logmel import logmel
from avsynth.formats.render import PREDICTION, overlay
from avsynth.formats.waveform import SAMPLE_RATE_HZ, Waveform, read_audio, second_db
from avsynth.loading.batch import Batch
from avsynth.loading.decode import decode_image
from avsynth.models.checkpoints import load_trained, read_info
from avsynth.pipelines.shared.models import build_model
from avsynth.pipelines.shared.project import WEIGHTS
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime


@dataclass(frozen=True, slots=True)
class AudioInput:
    """One second of an audio file."""

    path: Path
    """An audio file or video."""
    second: int | None = None
    """Index of the second; None selects the loudest."""


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """The written files and the size of the mask."""

    mask_png: Path
    overlay_png: Path
    second: int
    """Index of the second of audio that was used."""
    covered_frac: float
    """Share of the image that the mask covers, 0..1."""


def segment(
    image: Path,
    audio: AudioInput,
    run: str,
    params: Params,
    layout: Layout,
    runtime: Runtime,
    out: Path,
) -> SegmentResult:
    """Write ``<image>.mask.png`` and ``<image>.overlay.png`` at the upright image's size.

    Args:
        image: a JPEG or PNG; its EXIF orientation is applied.
        audio: file and second.
        run: a folder below runs/, e.g. ``train/save``, or a weights file.
        params: with the backbone that the run was trained on.
        layout: of the project.
        runtime: its device.
        out: output folder.

    Raises:
        CheckpointError: no such run, or weights of another backbone.
        DataError: the image or the audio cannot be read, or the audio is too short.
    """
    # Not at the top: without torch the imports of avsynth above raise a message that tells how to
    # install it.
    import torch
    from torch import nn

    weights = _weights(layout, run)
    info = read_info(weights)
    model = build_model(Project(params, layout, runtime), info.model, info.parameters)
    load_trained(model, weights)
    cast(nn.Module, model).to(runtime.device).eval()
    content = _read(image)
    waveform, second = _second_of(audio)
    pixels = decode_pixels(content)
    batch = Batch(
        keys=(image.stem,),
        image=decode_image(content, model.input_size)[None],
        frame_size=(pixels.shape[0], pixels.shape[1]),
        logmel=torch.from_numpy(logmel(waveform)),
        waveform=torch.from_numpy(waveform)[None],
    ).to(runtime.device)
    with torch.no_grad():
        mask = (model(batch).logits[0] > 0).cpu().numpy()
    mask_png, overlay_png = (out / f"{image.stem}.{kind}.png" for kind in ("mask", "overlay"))
    _write_png(mask_png, Image.fromarray(mask))
    _write_png(overlay_png, Image.fromarray(overlay(pixels, mask, PREDICTION)))
    return SegmentResult(mask_png, overlay_png, second, float(mask.mean()))


def _weights(layout: Layout, run: str) -> Path:
    """Return the path of a run's weights: ``run`` if it is a file, else below runs/."""
    given = Path(run)
    return given if given.is_file() else layout.runs / run / WEIGHTS


def _read(image: Path) -> bytes:
    """Read an image file; one that its EXIF data turn, as upright PNG."""
    fix = "Use a JPEG or PNG file."
    try:
        content = image.read_bytes()
        with open_image(content) as opened:
            opened.load()
            turned = upright(opened)
            if turned is not opened:
                png = io.BytesIO()
                to_rgb(turned).save(png, "PNG", compress_level=1)
                content = png.getvalue()
    except OSError as error:
        raise DataError(str(image), "an image", error.strerror or str(error), fix) from None
    except ImageError as error:
        raise DataError(str(image), "a JPEG or PNG", str(error), fix) from None
    return content


def _second_of(audio: AudioInput) -> tuple[Waveform, int]:
    """Read one second of audio: the requested one, or the loudest."""
    waveform, _ = read_audio(audio.path)
    whole = len(waveform) // SAMPLE_RATE_HZ
    second = audio.second
    if whole == 0 or (second is not None and not 0 <= second < whole):
        expected = "audio of at least one second" if second is None else f"a second {second}"
        found = f"{len(waveform) / SAMPLE_RATE_HZ:.2f} s"
        fix = "Use a longer file, or another second."
        raise DataError(str(audio.path), expected, found, fix)
    chosen = int(np.argmax(second_db(waveform))) if second is None else second
    return waveform[chosen * SAMPLE_RATE_HZ : (chosen + 1) * SAMPLE_RATE_HZ], chosen


def _write_png(path: Path, image: Image.Image) -> None:
    with atomic_file(path) as temporary:
        image.save(temporary, "PNG", optimize=True)
