"""AVSBench V3: AVSS split into seen and unseen categories, with 0, 1, 3 or 5 shots of the unseen.

Paper: Y. Wang et al., "Prompting Segmentation with Sound Is Generalizable Audio-Visual Source
Localizer" (GAVS), AAAI 2024. Version v3. Images, licence and layout: `avsynth.benchmarks.avss`.
Where the lists are: https://github.com/GeWu-Lab/Generalizable-Audio-Visual-Segmentation, folder
``segment_anything/dataset/v3``; copy it to ``v3`` beside metadata.csv::

    v3/meta_v3_seen_train.csv (4,807 clips)  v3/meta_v3_seen_val.csv (535)
    v3/meta_v3_unseen.csv (758)
    v3/v3_{1,3,5}_shot/{train,test}.csv      11/532, 33/510, 55/488 clips

Protocol of 0 shots (``v3``): train on seen_train, select the checkpoint on seen_val, test on
unseen. Protocol of k shots (``v3-1shot``, ``v3-3shot``, ``v3-5shot``): fine-tune the 0-shot model
on the k-shot train list, select on seen_val, test on the k-shot test list.

Quirks:

* **The test sets differ**: 14 unseen categories (758 clips) at 0 shots, 11 at k shots (harp, bell
  and squirrel are missing). So the numbers at 0 and at k shots are not comparable.
* The k-shot lists have an empty ``a_obj`` and a ``split`` that is always ``v3_1_shot_train``. Here
  the category comes from metadata.csv by uid, and the split from the list's file name.
* Clips come from v2 (10 frames) and v1m (5 frames), from all splits of AVSS.
"""

from functools import partial
from pathlib import Path

from avsynth.benchmarks import avss
from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.benchmarks.csv_lists import check_unique, read_rows
from avsynth.benchmarks.frames import make_reader
from avsynth.formats.images import foreground
from avsynth.runtime.errors import DataError

VERSION = "v3"
_SEEN_VAL = "meta_v3_seen_val.csv"


def list_files(shots: int) -> dict[str, str]:
    """Return the list file of each split, relative to the folder ``v3``."""
    if shots == 0:
        return {"train": "meta_v3_seen_train.csv", "val": _SEEN_VAL, "test": "meta_v3_unseen.csv"}
    folder = f"v3_{shots}_shot"
    return {"train": f"{folder}/train.csv", "val": _SEEN_VAL, "test": f"{folder}/test.csv"}


def list_clips(dataset: str, shots: int, root: Path, split: str) -> list[Clip]:
    """List the clips of a split, sorted by uid.

    Raises:
        DataError: a list is absent or damaged, or contains a clip that is not in metadata.csv.
    """
    path = root / "v3" / list_files(shots)[split]
    rows = read_rows(path, ("uid",))
    check_unique(path, rows, "uid")
    uids = [row["uid"] for row in rows]
    known = avss.read_metadata(root)
    unknown = [uid for uid in uids if uid not in known]
    if unknown:
        found = f"{len(unknown)} unknown, first {unknown[0]!r}"
        fix = "Download the complete metadata.csv again."
        raise DataError(str(path), "uids of metadata.csv", found, fix)
    return [avss.make_clip(root, known[uid], dataset, VERSION, split) for uid in sorted(uids)]


def _benchmark(shots: int, train: int, test: int) -> Benchmark:
    name = f"v3-{shots}shot" if shots else "v3"
    return Benchmark(
        name=name,
        title=f"AVSBench V3, {shots} shots",
        version=VERSION,
        paper="Wang et al., Prompting Segmentation with Sound Is Generalizable, AAAI 2024",
        url="https://github.com/GeWu-Lab/Generalizable-Audio-Visual-Segmentation",
        licence=avss.LICENCE,
        clips={"train": train, "val": 535, "test": test},
        list_clips=partial(list_clips, name, shots),
        read_clip=make_reader(foreground),
    )


BY_SHOTS = {
    0: _benchmark(0, 4807, 758),
    1: _benchmark(1, 11, 532),
    3: _benchmark(3, 33, 510),
    5: _benchmark(5, 55, 488),
}
"""Number of shots -> benchmark."""
