"""Test of the fetch stage against a failing host, with kills, until all files are downloaded.

``make drill-fetch`` writes the toy world, serves it on this machine under the paths of the official
hosts with scripted faults, and runs the real stage in separate processes. It kills runs with
SIGKILL, stops one with Ctrl-C, and continues until every available file is downloaded. Then it
compares every file with the original and prints the result of each fault.
"""

import argparse
import filecmp
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import yaml
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from avsynth.building.new_project import init_project  # noqa: E402
from avsynth.core.params.load import load_params  # noqa: E402
from avsynth.core.paths import Layout  # noqa: E402
from avsynth.download.ledger import LedgerRow, read_ledger  # noqa: E402
from avsynth.download.requirements import SOURCES, make_request  # noqa: E402
from avsynth.download.youtube import ffmpeg  # noqa: E402
from avsynth.runtime.errors import AvsynthError  # noqa: E402
from avsynth.runtime.options import Runtime  # noqa: E402
from avsynth.toy import write_toy_world  # noqa: E402
from tests.helpers.local_host import Host, RunningHost  # noqa: E402
from tests.helpers.official_archives import mirrors, serve_toy_world  # noqa: E402

DRILLED = ("lvis", "openimages", "vggsound")
KINDS = {"annotations", "images", "masks", "clips"}
VIDEO_S = 1000


@dataclass(frozen=True)
class Fault:
    """One scripted fault: its path, and the status that its item must end with."""

    what: str
    path: str
    faults: tuple[str, ...]
    item: tuple[str, str, str]
    """Source, kind and id of the affected item."""
    ends: str


@dataclass(frozen=True)
class Run:
    """One run of the stage and its result."""

    what: str
    ended: str
    took_s: float
    tally: str


def main() -> int:
    """Run the drill; return 0 if every item ended as expected, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", nargs=3, metavar=("ROOT", "SOURCE", "RETRY"))
    arguments = parser.parse_args()
    if arguments.stage:
        return stage(*arguments.stage)
    with tempfile.TemporaryDirectory(prefix="drill-") as folder, RunningHost(Host()) as host:
        return drill(Path(folder), host)


def stage(root: str, source: str, retry: str) -> int:
    """Run the stage like the command line."""
    from avsynth.pipelines.fetch import fetch

    layout = Layout(Path(root))
    runtime = Runtime(workers=2, cache_dir=layout.root / "cache", quiet=True)
    try:
        fetch(source, load_params(layout.root), layout, runtime, tuple(retry.split()))
    except AvsynthError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def drill(folder: Path, host: Host) -> int:
    """Run the stage with faults and kills, compare the files, print the tables."""
    toy, layout = folder / "toy", Layout(folder / "project")
    write_toy_world(toy, scale=0.1)
    serve_toy_world(host, toy)
    prepare(layout, host)
    serve_videos(host, toy, folder)
    faults = queue_faults(host, layout, toy)
    runs = [*run_all(layout, host)]
    rows = ledgers(layout)
    n_different, n_files = compare(layout.raw, toy, rows)
    console = Console(width=140)
    console.print(runs_table(runs))
    console.print(faults_table(faults, rows, host))
    wrong = [f for f in faults if rows[f.item].status != f.ends]
    left = [
        str(p) for p in layout.raw.rglob(".*") if p.name.endswith((".part", ".packed", ".etag"))
    ]
    console.print(
        f"{n_files} files, {n_different} differ from the originals, "
        f"{len(left)} partial files remain, {len(wrong)} of {len(faults)} faults "
        f"ended with an unexpected status; {host.requests.total()} requests, "
        f"at most {host.most_open} at once"
    )
    return 1 if wrong or n_different or left else 0


def prepare(layout: Layout, host: Host) -> None:
    """Create a project with the local host as mirror."""
    init_project(layout.root, "toy")
    path = layout.root / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["fetch"] |= {"mirrors": mirrors(host), "connections": 4, "stop_loss": 0.9}
    params["fetch"]["youtube"] |= {"accept_terms": True, "interval_s": 0.0}
    path.write_text(yaml.safe_dump(params))


def serve_videos(host: Host, toy: Path, folder: Path) -> None:
    """Serve the same long audio track for every video of the list."""
    tone = 0.3 * np.sin(np.arange(VIDEO_S * 8000) * (2 * np.pi * 440 / 8000))
    soundfile.write(folder / "v.wav", tone, 8000)
    command = [ffmpeg(), "-v", "error", "-i", str(folder / "v.wav"), "-b:a", "32k"]
    subprocess.run([*command, "-movflags", "+faststart", str(folder / "v.mp4")], check=True)
    video = (folder / "v.mp4").read_bytes()
    for line in (toy / "vggsound/vggsound.csv").read_text().splitlines():
        host.files[f"/youtube/watch?v={line[:11]}"] = video


def queue_faults(host: Host, layout: Layout, toy: Path) -> list[Fault]:
    """Queue one fault of each kind, for required items."""
    images = sorted((toy / "lvis/train2017").iterdir())
    masks = sorted((toy / "openimages/train-masks").iterdir())
    ids = required_ids(layout, toy)
    names = [p.name for p in images if f"train2017/{p.name}" in ids["images"]]
    clips = sorted({one[:11]: one for one in sorted(ids["clips"])}.values())
    digit = next(m.name[0] for m in masks if f"train/{m.name}" in ids["masks"])
    hit = next(m.name for m in masks if f"train/{m.name}" in ids["masks"] and m.name[0] == digit)

    def image_fault(n: int, what: str, ends: str, *faults: str) -> Fault:
        name = f"train2017/{names[n]}"
        return Fault(what, f"/coco/{name}", faults, ("lvis", "images", name), ends)

    def clip_fault(n: int, what: str, ends: str, *faults: str) -> Fault:
        path = f"/youtube/watch?v={clips[n][:11]}"
        return Fault(what, path, faults, ("vggsound", "clips", clips[n]), ends)

    zipped = f"/google/v5/train-masks/train-masks-{digit}.zip"
    listed = "/meta/LVIS/lvis_v1_train.json.zip"
    faults = [
        image_fault(0, "429 with Retry-After: 1", "ok", "status=429,1"),
        image_fault(1, "503 with Retry-After: 1, twice", "ok", "status=503,1", "status=503,1"),
        image_fault(2, "500, four times, then ok", "ok", *["status=500"] * 4),
        image_fault(3, "hangs up midway", "ok", "cut=0.4"),
        image_fault(4, "slow (2 s before the first byte)", "ok", "silent=2"),
        image_fault(5, "an error page with status 200", "ok", "other=<html>quota</html>"),
        image_fault(6, "404", "gone", "status=404"),
        image_fault(7, "403", "private", "status=403"),
        image_fault(8, "451", "geo", "status=451"),
        image_fault(9, "redirect to file:///etc/passwd", "ok", "redirect=file:///etc/passwd"),
        image_fault(10, "endless redirect", "ok", *["redirect=/coco/loop"]),
        image_fault(11, "always 500", "transient", *["status=500"] * 99),
        Fault("list: hangs up in a range", listed, ("pass", "cut=0.5", "status=503,0"),
              ("lvis", "annotations", "lvis_v1_train.json"), "ok"),
        Fault("mask zip: 503, then cut", zipped, ("status=503,0", "pass", "cut=0.2"),
              ("openimages", "masks", f"train/{hit}"), "ok"),
        clip_fault(0, "video: 404", "gone", *["status=404"] * 9),
        clip_fault(1, "video: 429 (a robot check), then ok", "ok", "status=429"),
        clip_fault(2, "video: hangs up, then ok", "ok", "cut=0.01", "cut=0.01"),
    ]  # fmt: skip
    host.misbehave("/coco/loop", *["redirect=/coco/loop"] * 5)
    for fault in faults:
        host.misbehave(fault.path, *fault.faults)
    return faults


def required_ids(layout: Layout, toy: Path) -> dict[str, set[str]]:
    """Return the ids of the required items by kind, computed from the original lists."""
    raw = load_params(layout.root).model_dump()
    for name in ("lvis", "openimages"):
        raw["masks"]["sources"][name]["root"] = str(toy / name)
    raw["audio"]["sources"]["vggsound"]["root"] = str(toy / "vggsound")
    params = type(load_params(layout.root)).model_validate(raw)
    request = make_request(params, layout, Runtime(cache_dir=layout.root / "cache"))
    ids: dict[str, set[str]] = {}
    for source in DRILLED:
        for batch in SOURCES[source](request):
            ids.setdefault(batch.kind, set()).update(i.item_id for i in batch.items)
    return ids


def run_all(layout: Layout, host: Host) -> list[Run]:
    """Run the stage for every source until it ends, with kill -9 and Ctrl-C in between."""
    runs = []
    host.delay_s = 0.05
    runs.append(run(layout, "lvis", "", (signal.SIGKILL, "images", 10)))
    runs.append(run(layout, "lvis", "", (signal.SIGINT, "images", 20)))
    runs.append(run(layout, "openimages", "", (signal.SIGKILL, "masks", 8)))
    host.delay_s = 0.0
    for source in DRILLED:
        runs.append(run(layout, source, ""))
        runs.append(run(layout, source, "transient corrupt bot"))
        if source == "vggsound":
            runs.append(run(layout, source, ""))
    return runs


def run(
    layout: Layout, source: str, retry: str, stop: tuple[signal.Signals, str, int] | None = None
) -> Run:
    """Run the stage in a separate process; send it a signal after a number of items."""
    command = [sys.executable, __file__, "--stage", str(layout.root), source, retry]
    begun = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    what = f"fetch {source}" + (f" --retry {retry.replace(' ', ',')}" if retry else "")
    if stop:
        sent, kind, count = stop
        while process.poll() is None and len(read_ledger(layout.raw / source, kind)) < count:
            time.sleep(0.01)
        begun = time.monotonic()
        process.send_signal(sent)
        what += f", {sent.name} after {count} {kind}"
    _, errors = process.communicate(timeout=300)
    took_s = time.monotonic() - begun
    ended = f"exit code {process.returncode}"
    if process.returncode == 2:
        ended += f": {errors.strip().splitlines()[-1][:90]}"
    tally = Counter(row.status for key, row in ledgers(layout).items() if key[0] == source)
    return Run(what, ended, took_s, ", ".join(f"{n} {status}" for status, n in tally.most_common()))


def ledgers(layout: Layout) -> dict[tuple[str, str, str], LedgerRow]:
    """Return the ledger rows by source, kind and item."""
    found = {}
    tables = {p.with_suffix("") for p in layout.raw.rglob(".fetch/*.*") if p.stem in KINDS}
    for path in sorted(tables):
        source = path.relative_to(layout.raw).parts[0]
        for item, row in read_ledger(path.parent.parent, path.name).items():
            found[(source, path.name, item)] = row
    return found


def compare(raw: Path, toy: Path, rows: dict[tuple[str, str, str], LedgerRow]) -> tuple[int, int]:
    """Count the downloaded files that differ from the originals, and all downloaded files."""
    n_different = n_files = 0
    for (source, kind, _), row in rows.items():
        if row.status != "ok":
            continue
        n_files += 1
        if kind == "clips":
            info = soundfile.info(raw / "vggsound/audio" / row.target)
            good = (info.samplerate, info.channels) == (16_000, 1) and abs(info.duration - 10) < 0.2
        else:
            good = filecmp.cmp(raw / source / row.target, toy / source / row.target, shallow=False)
        n_different += not good
    return n_different, n_files


def runs_table(runs: list[Run]) -> Table:
    """Build a table of the runs."""
    table = Table("run", "ended with", "seconds (after the signal)", "ledger then")
    for one in runs:
        table.add_row(one.what, one.ended, f"{one.took_s:.1f}", one.tally)
    return table


def faults_table(
    faults: list[Fault], rows: dict[tuple[str, str, str], LedgerRow], host: Host
) -> Table:
    """Build a table of the result of each fault."""
    table = Table("the host", "asked", "attempts", "must end", "ends", "last reason")
    for fault in faults:
        row = rows[fault.item]
        colour = "green" if row.status == fault.ends else "red"
        asked = str(host.requests[fault.path])
        ends = f"[{colour}]{row.status}[/]"
        table.add_row(fault.what, asked, str(row.attempts), fault.ends, ends, row.reason[:60])
    return table


if __name__ == "__main__":
    sys.exit(main())
