"""A few AudioSet clips in the official layout, and a user's own audio folder.

``audioset/``: ``eval_segments.csv`` (three comment lines, quoted lists of label ids),
``ontology.json``, ``audio/<id>_<start:06d>.flac``. A segment also has its label's parents. The
audio of one segment is missing. ``sounds/<category or label>/*.flac``: folders named by a category
or by a VGGSound label with its comma; some clips end in digital silence.
"""

import json
from pathlib import Path

import soundfile

from avsynth.core.hashing import generator
from avsynth.formats.waveform import SAMPLE_RATE_HZ
from avsynth.toy.plan import Plan
from avsynth.toy.seeding import video_id
from avsynth.toy.sounds import synthesise

_ONTOLOGY = (
    ("/m/0jbk", "Animal", ("/m/0bt9lr", "/m/01yrx", "/m/09ld4")),
    ("/m/0bt9lr", "Dog", ("/m/05tny_",)),
    ("/m/05tny_", "Bark", ()),
    ("/m/01yrx", "Cat", ("/m/07qrkrw",)),
    ("/m/07qrkrw", "Meow", ()),
    ("/m/09ld4", "Frog", ("/m/07st88b",)),
    ("/m/07st88b", "Croak", ()),
    ("/m/0342h", "Guitar", ("/m/042v_gx",)),
    ("/m/042v_gx", "Acoustic guitar", ()),
)
_SEGMENTS = (
    ("dog", "/m/0jbk,/m/0bt9lr,/m/05tny_"),
    ("cat", "/m/0jbk,/m/01yrx,/m/07qrkrw"),
    ("frog", "/m/0jbk,/m/09ld4,/m/07st88b"),
    ("guitar", "/m/0342h,/m/042v_gx"),
)
_FOLDERS = {"dog": "dog", "donkey, ass braying": "donkey", "frog croaking": "frog", "bird": "bird"}


def write_audioset(folder: Path, plan: Plan) -> dict[str, int]:
    """Write the segments, the ontology and the clips; return their counts."""
    (folder / "audio").mkdir()
    lines, clips = [], 0
    for number in range(plan.count(12, 6)):
        category, labels = _SEGMENTS[number % len(_SEGMENTS)]
        video, start = video_id(plan.seed, "audioset", number), 30 * (number % 5)
        lines.append(f'{video}, {start}.000, {start + 10}.000, "{labels}"\n')
        if number != 1:  # a removed video
            audio = synthesise(category, generator(plan.seed, "audioset clip", number), 10.0)
            path = folder / "audio" / f"{video}_{start:06d}.flac"
            soundfile.write(path, audio, SAMPLE_RATE_HZ, subtype="PCM_16")
            clips += 1
    head = (
        "# Segments csv of the avsynth toy world\n"
        f"# num_ytids={len(lines)}, num_segs={len(lines)}, num_unique_labels={len(_ONTOLOGY)}, "
        f"num_positive_labels={len(lines)}\n"
        "# YTID, start_seconds, end_seconds, positive_labels\n"
    )
    (folder / "eval_segments.csv").write_text(head + "".join(sorted(lines)), encoding="utf-8")
    ontology = [
        {
            "id": mid, "name": name, "description": "", "citation_uri": "",
            "positive_examples": [], "child_ids": list(children), "restrictions": [],
        }
        for mid, name, children in _ONTOLOGY
    ]  # fmt: skip
    (folder / "ontology.json").write_text(json.dumps(ontology, indent=1) + "\n", encoding="utf-8")
    return {"rows": len(lines), "clips": clips}


def write_sounds(folder: Path, plan: Plan) -> dict[str, int]:
    """Write the audio folder; return the number of clips."""
    clips = 0
    for name, category in _FOLDERS.items():
        (folder / name).mkdir()
        for number in range(plan.count(4, 3)):
            audio = synthesise(category, generator(plan.seed, "sounds", category, number), 5.0)
            if number == 1:
                audio[int(2.5 * SAMPLE_RATE_HZ) :] = 0
            path = folder / name / f"{category}-{number}.flac"
            soundfile.write(path, audio, SAMPLE_RATE_HZ, subtype="PCM_16")
            clips += 1
    return {"clips": clips}
