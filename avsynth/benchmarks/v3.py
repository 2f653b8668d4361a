"""V3: AVSS split anew into seen and unseen categories, with 0, 1, 3 and 5 shots of the unseen.

Paper: Y. Wang et al., "Prompting Segmentation with Sound Is Generalizable Audio-Visual Source
Localizer" (GAVS), AAAI 2024. Version v3. Pictures, licence and layout: `avsynth.benchmarks.avss`.
Where the lists are: https://github.com/GeWu-Lab/Generalizable-Audio-Visual-Segmentation, folder
``segment_anything/dataset/v3``; copy it to ``v3`` beside metadata.csv::

    v3/meta_v3_seen_train.csv (4,807 clips)  v3/meta_v3_seen_val.csv (535)
    v3/meta_v3_unseen.csv (758)
    v3/v3_{1,3,5}_shot/{train,test}.csv      11/532, 33/510, 55/488 clips

Protocol: 0 shots (``v3``): train on seen_train, choose on seen_val, test on unseen. k shots
(``v3-1shot``, ``v3-3shot``, ``v3-5shot``): go on from the 0-shot model with the k-shot train list,
choose on seen_val, test on the k-shot test list.

Quirks:

* **The test sets differ**: 14 unseen categories (758 clips) at 0 shots, 11 at k shots (harp, bell
  and squirrel are gone). `category_set` tells which; it belongs beside every number.
* The k-shot lists have an empty ``a_obj`` and a ``split`` that always reads ``v3_1_shot_train``:
  both come from elsewhere here, from metadata.csv by uid and from the file's name.
* Clips are of v2 (10 frames) and v1m (5 frames), from all splits of AVSS.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from avsynth.benchmarks import avss
from avsynth.benchmarks.base import Benchmark, Clip
from avsynth.benchmarks.csv_lists import no_duplicates, read_rows
from avsynth.benchmarks.frames import make_reader
from avsynth.formats.images import foreground
from avsynth.runtime.errors import DataError

VERSION = "v3"
_SEEN_VAL = "meta_v3_seen_val.csv"


def list_files(shots: int) -> dict[str, str]:
    """Name the list of each split, relative to the folder ``v3``."""
    if shots == 0:
        return {"train": "meta_v3_seen_train.csv", "val": _SEEN_VAL, "test": "meta_v3_unseen.csv"}
    folder = f"v3_{shots}_shot"
    return {"train": f"{folder}/train.csv", "val": _SEEN_VAL, "test": f"{folder}/test.csv"}


def list_clips(dataset: str, shots: int, root: Path, split: str) -> list[Clip]:
    """List the clips of a split, sorted by uid.

    Raises:
        DataError: a list is absent or damaged, or names a clip that metadata.csv does not have.
    """
    path = root / "v3" / list_files(shots)[split]
    uids = [row["uid"] for row in read_rows(path, ("uid",))]
    no_duplicates(path, uids)
    known = avss.read_metadata(root)
    strangers = [uid for uid in uids if uid not in known]
    if strangers:
        found = f"{len(strangers)} unknown, first {strangers[0]!r}"
        raise DataError(str(path), "uids of metadata.csv", found, "Get metadata.csv whole.")
    return [avss.make_clip(root, known[uid], dataset, VERSION, split) for uid in sorted(uids)]


def category_set(joined: Iterable[str]) -> tuple[str, ...]:
    """List the categories that clips or score rows are of, sorted.

    Args:
        joined: categories as AVSS writes them, ``girl_boy`` being two.
    """
    return tuple(sorted({name for names in joined for name in names.split("_")}))


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
"""Shots to benchmark."""
