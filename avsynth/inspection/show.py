"""One sample in the terminal: its metadata and its spectrogram; the overlay as a PNG."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avsynth.core.files import atomic_file
from avsynth.core.names import printable
from avsynth.formats.images import decode_image, decode_mask
from avsynth.formats.render import GROUND_TRUTH, overlay
from avsynth.formats.shard_index import parse_meta
from avsynth.formats.shards import ShardReader
from avsynth.formats.waveform import SAMPLE_RATE_HZ, decode_flac, rms_db
from avsynth.runtime.errors import DataError, suggest

_SHADES = " ·:-=+*#%@"
_ROWS, _COLUMNS = 16, 64


def show_sample(folder: Path, key: str, out: Path) -> str:
    """Return a description of a sample in plain text, and write ``<key>.overlay.png``.

    Args:
        folder: folder of the shards.
        key: the sample's key, or a unique prefix of it.
        out: folder of the overlay.

    Raises:
        DataError: no key or several keys have this prefix, or a shard is damaged.
    """
    reader = ShardReader(folder)
    key = _find_key(reader, key)
    parts = reader.parts(key)
    with reader.naming(key):
        meta = parse_meta(parts["meta.json"])
        name, content = next((n, c) for n, c in parts.items() if n.startswith("image."))
        image, mask = decode_image(content), decode_mask(parts["mask.png"])
        audio = decode_flac(parts["audio.flac"])
        logmel = np.load(io.BytesIO(parts["logmel.npy"]), allow_pickle=False)
        spectrogram, painted = ascii_spectrogram(logmel), overlay(image, mask, GROUND_TRUTH)
    path = out / f"{key}.overlay.png"
    with atomic_file(path) as temporary:
        Image.fromarray(painted).save(temporary, "PNG")
    shard = next(s for s in reader.shards if key in s.keys)
    facts = {
        "key": key,
        "split": shard.split,
        "shard": f"{folder / shard.file}, sample {shard.keys.index(key)} of {shard.count}",
        name: f"{image.shape[0]} x {image.shape[1]} px, {len(content):,} bytes",
        "mask.png": f"{int(mask.sum()):,} px, {mask.mean():.1%} of the image",
        "audio.flac": f"{len(audio) / SAMPLE_RATE_HZ:.2f} s, {rms_db(audio):.1f} dBFS",
        **{
            printable(name): printable(str(value))
            for name, value in sorted(meta.items())
            if value not in ("", None)
        },
    }
    width = max(map(len, facts))
    lines = [f"{name:<{width}}  {value}" for name, value in facts.items()]
    return "\n".join([*lines, "", spectrogram, "", f"wrote {path}"])


def ascii_spectrogram(logmel: NDArray[np.floating]) -> str:
    """Return a log-mel drawn in characters: time to the right, pitch upwards, loud is dense.

    Args:
        logmel: float ``[1, 96, 64]``, natural logarithms (silence is ln 0.01).
    """
    bands = np.asarray(logmel, np.float32).reshape(96, 64).T[::-1]
    small = Image.fromarray(bands).resize((_COLUMNS, _ROWS), Image.Resampling.BOX)
    loud = (np.asarray(small) - np.log(0.01)) / (np.log(10.0) - np.log(0.01))
    shade = np.clip(loud * len(_SHADES), 0, len(_SHADES) - 1).astype(int)
    lines = ["".join(_SHADES[s] for s in row).rstrip() for row in shade]
    labels = ["7.5 kHz", *[""] * (_ROWS - 2), "125 Hz"]
    body = [f"{label:>7} |{line}" for label, line in zip(labels, lines, strict=True)]
    return "\n".join([*body, " " * 8 + "+" + "-" * _COLUMNS, f"{'0 s':>10}{'0.96 s':>{_COLUMNS}}"])


def _find_key(reader: ShardReader, key: str) -> str:
    """Return the unique key with this prefix."""
    if key in reader.keys:
        return key
    found = [name for name in reader.keys if name.startswith(key)]
    if len(found) == 1:
        return found[0]
    where = str(reader.folder)
    if found:
        listed = ", ".join(found[:5]) + (" ..." if len(found) > 5 else "")
        raise DataError(
            where, f"one key that begins with {key!r}", listed, "Type more characters of the key."
        )
    raise DataError(where, "a key", repr(key), suggest(key, reader.keys[:2000]))
