"""Segment what sounds in one picture with a trained run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from avsynth.core.files import whole_file
from avsynth.core.params.load import Params
from avsynth.core.paths import Layout
from avsynth.formats.images import ImageError, open_image
from avsynth.formats.images import decode_image as decode_pixels
from avsynth.formats.logmel import logmel
from avsynth.formats.render import PREDICTION, overlay
from avsynth.formats.waveform import SAMPLE_RATE_HZ, Waveform, read_audio, second_db
from avsynth.loading.batch import Batch
from avsynth.loading.decode import decode_image
from avsynth.models.checkpoints import load_trained, read_info
from avsynth.pipelines.shared.models import build_model
from avsynth.pipelines.shared.project import WEIGHTS, Project
from avsynth.runtime.errors import DataError
from avsynth.runtime.options import Runtime


@dataclass(frozen=True, slots=True)
class Sound:
    """What to listen to."""

    path: Path
    """A sound file or video."""
    second: int | None = None
    """Which second of it; None takes the loudest."""


@dataclass(frozen=True, slots=True)
class Segmented:
    """What was written and found."""

    mask_png: Path
    overlay_png: Path
    second: int
    """Of the sound, the one that was heard."""
    covered_frac: float
    """Share of the picture that is predicted to sound, 0..1."""


def segment(
    image: Path,
    sound: Sound,
    run: str,
    params: Params,
    layout: Layout,
    runtime: Runtime,
    out: Path,
) -> Segmented:
    """Write ``<image>.mask.png`` and ``<image>.overlay.png`` at the picture's own size.

    Args:
        image: a JPEG or PNG.
        sound: what is heard.
        run: a folder below runs/, e.g. ``train/save``, or a weights file.
        params: must describe the backbone that the run was trained on.
        layout: of the project.
        runtime: its device.
        out: folder to write to.

    Raises:
        CheckpointError: no such run, or weights of another backbone.
        DataError: the picture or the sound cannot be read, or the sound is too short.
    """
    weights = _weights(layout, run)
    info = read_info(weights)
    model = build_model(Project(params, layout, runtime), info.model, info.parameters)
    load_trained(model, weights)
    model.to(runtime.device).eval()
    content = _read(image)
    heard, chosen = _second_of(sound)
    pixels = decode_pixels(content)
    batch = Batch(
        keys=(image.stem,),
        image=decode_image(content, model.input_size)[None],
        frame_size=(pixels.shape[0], pixels.shape[1]),
        logmel=torch.from_numpy(logmel(heard)),
        waveform=torch.from_numpy(heard)[None],
    ).to(runtime.device)
    with torch.no_grad():
        mask = (model(batch).logits[0] > 0).cpu().numpy()
    mask_png, overlay_png = (out / f"{image.stem}.{kind}.png" for kind in ("mask", "overlay"))
    _write_png(mask_png, Image.fromarray(mask))
    _write_png(overlay_png, Image.fromarray(overlay(pixels, mask, PREDICTION)))
    return Segmented(mask_png, overlay_png, chosen, float(mask.mean()))


def _weights(layout: Layout, run: str) -> Path:
    """Find a run's weights: a file as it is, else the folder below runs/."""
    given = Path(run)
    return given if given.is_file() else layout.runs / run / WEIGHTS


def _read(image: Path) -> bytes:
    fix = "Give a JPEG or PNG."
    try:
        content = image.read_bytes()
        with open_image(content) as opened:
            opened.load()
    except OSError as error:
        raise DataError(str(image), "a picture", error.strerror or str(error), fix) from None
    except ImageError as error:
        raise DataError(str(image), "a JPEG or PNG", str(error), fix) from None
    return content


def _second_of(sound: Sound) -> tuple[Waveform, int]:
    """Read one second of a sound: the one asked for, or the loudest."""
    waveform, _ = read_audio(sound.path)
    whole = len(waveform) // SAMPLE_RATE_HZ
    second = sound.second
    if whole == 0 or (second is not None and not 0 <= second < whole):
        expected = "a sound of at least one second" if second is None else f"a second {second}"
        found = f"{len(waveform) / SAMPLE_RATE_HZ:.2f} s"
        raise DataError(str(sound.path), expected, found, "Give a longer sound, or another second.")
    chosen = int(np.argmax(second_db(waveform))) if second is None else second
    return waveform[chosen * SAMPLE_RATE_HZ : (chosen + 1) * SAMPLE_RATE_HZ], chosen


def _write_png(path: Path, picture: Image.Image) -> None:
    with whole_file(path) as temporary:
        picture.save(temporary, "PNG", optimize=True)
