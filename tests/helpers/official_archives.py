"""The toy world on a local host, under the paths of the official hosts."""

import io
import zipfile
from pathlib import Path

from tests.helpers.local_host import Host

PREFIXES = {
    "https://dl.fbaipublicfiles.com": "/meta",
    "http://images.cocodataset.org": "/coco",
    "https://storage.googleapis.com/openimages": "/google",
    "https://open-images-dataset.s3.amazonaws.com": "/cvdf",
    "https://www.robots.ox.ac.uk": "/oxford",
    "https://github.com": "/github",
    "https://www.youtube.com": "/youtube",
}


def mirrors(host: Host) -> dict[str, str]:
    return {official: host.url + path for official, path in PREFIXES.items()}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(name, files[name])
    return buffer.getvalue()


def serve_toy_world(host: Host, toy: Path) -> None:
    """Serve the toy world under the paths that the official hosts use for the real data."""
    for name in ("lvis_v1_train.json", "lvis_v1_val.json"):
        archive = zipped({name: (toy / "lvis" / name).read_bytes()})
        host.files[f"/meta/LVIS/{name}.zip"] = archive
    instances = (toy / "coco/annotations/instances_train2017.json").read_bytes()
    host.files["/coco/annotations/annotations_trainval2017.zip"] = zipped(
        {"annotations/instances_train2017.json": instances}
    )
    for split in ("train2017", "val2017"):
        images = {}
        for folder in (toy / "lvis" / split, toy / "coco" / split):
            images |= {f"{split}/{p.name}": p.read_bytes() for p in folder.glob("*.jpg")}
        host.files |= {f"/coco/{name}": content for name, content in images.items()}
        host.files[f"/coco/zips/{split}.zip"] = zipped(images)
    _serve_openimages(host, toy / "openimages")
    table = (toy / "vggsound/vggsound.csv").read_bytes()
    host.files["/oxford/~vgg/data/vggsound/vggsound.csv"] = table


def _serve_openimages(host: Host, folder: Path) -> None:
    for split in ("train", "validation"):
        name = f"{split}-annotations-object-segmentation.csv"
        host.files[f"/google/v5/{name}"] = (folder / name).read_bytes()
        masks: dict[str, dict[str, bytes]] = {digit: {} for digit in "0123456789abcdef"}
        for path in (folder / f"{split}-masks").glob("*.png"):
            masks[path.name[0]][path.name] = path.read_bytes()
        for digit, files in masks.items():
            host.files[f"/google/v5/{split}-masks/{split}-masks-{digit}.zip"] = zipped(files)
        for path in (folder / split).glob("*.jpg"):
            host.files[f"/cvdf/{split}/{path.name}"] = path.read_bytes()
