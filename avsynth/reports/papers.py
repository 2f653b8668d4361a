"""The papers' published numbers (``resources/papers.csv``), and which runs of ours they match.

The papers write system, benchmark, split and setting in words of their own. `read_papers` turns
them once into the columns that our score rows have (`avsynth.metrics.rows.RunFacts`); everything
after that compares columns. A published value belongs to a `Claim`. Where one paper publishes
several values for one claim, all of them are shown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd

from avsynth.reports.page.tables import PublishedCell

TITLES = {
    ("SAVE", "1"): "SAM-based systems on AVSBench",
    ("SAVE", "2"): "All systems on AVSBench, with and without synthetic pre-training",
    ("SAVE", "3"): "AVSS V2",
    ("SAVE", "4"): "Unseen classes (AVSS V3)",
    ("SAVE", "5"): "Per category: synthetic against real training data",
    ("SAVE", "6"): "With and without synthetic pre-training",
    ("SAVE", "7"): "Ablation of the adapters",
    ("SAVE", "8"): "Cost of training and inference",
    ("SAVE", "9"): "Depth of the audio adapter",
    ("Annotation-free AVS", "1"): "Size of AVS-Synthetic",
    ("Annotation-free AVS", "2"): "Per category: synthetic against real training data",
    ("Annotation-free AVS", "3"): "Few-shot: share of real data",
    ("Annotation-free AVS", "4"): "SAM-based systems on AVSBench",
    ("Annotation-free AVS", "5"): "All systems on AVSBench",
    ("Annotation-free AVS", "6"): "Ablation of the loss",
    ("Annotation-free AVS", "7"): "Ablation of the number of adapters",
    ("Annotation-free AVS", "text 3.2"): "Splits of AVS-Synthetic",
    ("Annotation-free AVS", "text 5.4"): "Test split of AVS-Synthetic",
    ("ST-BAVA", "1"): "All systems on AVSBench",
    ("ST-BAVA", "2"): "Fusion modules and prompts",
    ("ST-BAVA", "3"): "Ablation of the attention",
    ("AV-SAM", "1"): "Localisation and segmentation",
    ("AV-SAM", "2"): "What is fine-tuned",
}
_MODELS = {
    "SAM": "sam_oracle",
    "SAM 1 Point": "sam_oracle",
    "SAM 3 Points": "sam_oracle",
    "SAM 1 Box": "sam_oracle",
    "SAM 3 Boxes": "sam_oracle",
    "AP-SAM": "ap_sam",
    "AV-SAM": "av_sam",
    "SAMA-AVS": "sama_avs",
    "SAMA-AVS-FT": "sama_avs",
    "w/o fusion module (SAMA-AVS)": "sama_avs",
    "SAVE": "save",
    "ST-BAVA": "st_bava",
    "ST-BAVA Full": "st_bava",
    "+ ST-BAVA": "st_bava",
}
"""Published system -> key of the model that implements it."""
_PROMPTS = {
    "SAM": "automatic",
    "SAM 1 Point": "1 points",
    "SAM 3 Points": "3 points",
    "SAM 1 Box": "1 boxes",
    "SAM 3 Boxes": "3 boxes",
}
_BENCHMARKS = {
    "AVS-Synthetic": "synthetic",
    "AVSBench S4": "s4",
    "AVSBench MS3": "ms3",
    "AVSS V2": "v2",
    "AVSS V3": "v3",
    "Flickr-SoundNet": "flickr",
}
_INPUT_PX = 1024
"""Input side of all systems that we implement, where a table states no other."""
_INPUT_PX_V3 = 224
"""The same on AVSS V3, whose table in the paper of SAVE states none."""
_BACKBONES = {
    "ViT-H": "vit_h",
    "ViT-Huge": "vit_h",
    "ViT-Base": "vit_b",
    "PVT-v2": "pvt_v2",
    "PVTv2": "pvt_v2",
}
_SYSTEM = re.compile(r"(.*?)(?: \((\d+)\)| \(\*+\))?")
_INPUT = re.compile(rf"(?:({'|'.join(_BACKBONES)})(?:, | |$))?(?:(224|256|1024)(?:, | |$))?")
_QUOTED = re.compile(r",? ?\(?quoted\)?$")
_SHOTS = re.compile(r"(\d)-shot")
_SHARE = re.compile(r"(\d+)% real, (w/|w/o) P\.T\.")
_MLP_LAYERS = re.compile(r"(\d)-layer \((\d+)\) audio adapter MLP")
_ALL_REAL = {
    "", "-", "w/o F.T.", "trained with Real", "+ image encoder adapter", "SAM backbone",
    "audio prompts, trained", "ablation", "loss BCE+IoU", "32 adapters",
}  # fmt: skip
"""Settings of a system as its paper proposes it, trained on all real data of the benchmark."""
_CHANGES = {
    "residual audio encoder adapter only": "spatial_conv=None",
    "loss BCE": "iou_weight=0",
    "loss IoU": "bce_weight=0",
    "2 adapters": "num_adapters=2",
    "4 adapters": "num_adapters=4",
    "8 adapters": "num_adapters=8",
    "16 adapters": "num_adapters=16",
}
"""Settings that change one part of a model, as the column ``ablation`` writes them."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The experiment behind a published value, in the columns of our score rows."""

    paper: str
    system: str
    model: str
    """Empty for systems that we do not implement."""
    benchmark: str
    split: str
    category: str
    """Empty for the mean over all."""
    metric: str
    architecture: str
    """Empty where the table does not state it."""
    input_size: int
    """0 where the table does not state it and the system is not one of ours."""
    pretrained_on: str
    trained_on: str
    finetuned_on: str
    real_percent: int
    shots: int
    ablation: str
    prompt: str


_EXPERIMENT = (
    "model", "benchmark", "split", "pretrained_on", "trained_on", "finetuned_on", "real_percent",
    "shots", "ablation", "prompt",
)  # fmt: skip
"""Columns that must be equal, besides the input, in a claim and a run that matches it."""


def read_papers() -> pd.DataFrame:
    """Read the published values in the order of the papers' tables.

    Returns:
        The columns of ``papers.csv`` as printed, ``value`` as float, and ``claim``: a `Claim`.
    """
    with (files("avsynth.resources") / "papers.csv").open("rb") as file:
        papers = pd.read_csv(file, dtype=str, keep_default_na=False)
    claims = [_claim(record) for _, record in papers.iterrows()]
    return papers.assign(
        value=papers["value"].astype(float), claim=pd.Series(claims, papers.index, dtype=object)
    )


def published_by_claim(papers: pd.DataFrame) -> dict[Claim, PublishedCell]:
    """Collect all values that a paper publishes for a claim, with the tables they stand in."""
    values: dict[Claim, list[tuple[float, str]]] = {}
    for _, record in papers.iterrows():
        where = record["table"] if record["table"].startswith("text") else f"T{record['table']}"
        values.setdefault(record["claim"], []).append((record["value"], where))
    return {claim: PublishedCell(tuple(found), claim.metric) for claim, found in values.items()}


def contradictions(papers: pd.DataFrame) -> dict[Claim, PublishedCell]:
    """Select the claims for which a paper publishes more than one value."""
    return {claim: cell for claim, cell in published_by_claim(papers).items() if cell.disputed}


def matches(claim: Claim, run: Mapping[str, Any]) -> bool:
    """Return whether a run of ours is the experiment of a claim, at the claim's input.

    Args:
        claim: of a published value.
        run: any score row of the run.
    """
    return matches_at_other_input(claim, run) and (
        run["input_size"] == claim.input_size and claim.architecture in ("", run["architecture"])
    )


def matches_at_other_input(claim: Claim, run: Mapping[str, Any]) -> bool:
    """Return whether a run is the experiment of a claim but for input size and architecture."""
    return claim.model != "" and all(run[name] == getattr(claim, name) for name in _EXPERIMENT)


def _claim(record: pd.Series) -> Claim:
    """Read a claim from the papers' words."""
    system, size = _SYSTEM.fullmatch(record["system"]).groups("")  # type: ignore[union-attr]
    if record["system"] in _MODELS:
        system, size = record["system"], ""
    setting = _QUOTED.sub("", record["setting"].replace(" (AVS-Synthetic)", ""))
    found = _INPUT.match(setting)
    assert found is not None  # all of its parts are optional
    backbone, stated = found.groups("")
    setting = setting[found.end() :]
    if layers := _MLP_LAYERS.fullmatch(setting):
        stated = layers[2]
    model = _MODELS.get(system, "")
    benchmark = _BENCHMARKS.get(record["benchmark"], record["benchmark"])
    split, _, category = record["split"].partition("/")
    training: dict[str, Any] = {
        "benchmark": benchmark, "pretrained_on": "", "trained_on": "", "finetuned_on": "",
        "real_percent": 0, "shots": 0, "ablation": "", "prompt": _PROMPTS.get(system, ""),
    }  # fmt: skip
    if not training["prompt"]:
        training |= _training(benchmark, setting)
    if model == "av_sam" and record["paper"] == "AV-SAM":
        training["trained_on"] = "vggsound"  # with pseudo masks
    return Claim(
        paper=record["paper"],
        system=system,
        model=model,
        split={"unseen": "test", "test (250)": "test"}.get(split, split),
        category=category,
        metric=record["metric"],
        architecture=_BACKBONES.get(backbone, ""),
        input_size=int(size or stated) if size or stated else _unstated_input(model, benchmark),
        **training,
    )


def _unstated_input(model: str, benchmark: str) -> int:
    if not model:
        return 0
    return _INPUT_PX_V3 if benchmark == "v3" else _INPUT_PX


def _training(benchmark: str, setting: str) -> dict[str, Any]:
    """Read the training facts of a setting; a setting of unknown words is an ablation."""
    synthetic, real = {"trained_on": "synthetic"}, _chain("", benchmark)
    if benchmark == "synthetic":
        return synthetic
    first, last = ("s4", benchmark) if benchmark == "ms3" else (benchmark, "")
    known = dict.fromkeys(_ALL_REAL, real) | {
        "trained with Synthetic": synthetic,
        "trained with Real + Syn": _chain("synthetic", benchmark),
        "w/ F.T. (Syn.)": _chain("synthetic", first, last),
        "w/ F.T. (from S4)": _chain("", first, last),
        "w/ F.T.": _chain("", first, last),
    }
    if setting in known:
        return known[setting]
    if share := _SHARE.fullmatch(setting):
        return _share(benchmark, int(share[1]), pretrained=share[2] == "w/")
    if shots := _SHOTS.fullmatch(setting):
        return _few_shots(benchmark, int(shots[1]))
    layers = _MLP_LAYERS.fullmatch(setting)
    change = f"mlp_layers={layers[1]}" if layers else _CHANGES.get(setting, setting)
    return {**real, "ablation": change}


def _chain(pretrained_on: str, trained_on: str, finetuned_on: str = "") -> dict[str, Any]:
    return {
        "pretrained_on": pretrained_on, "trained_on": trained_on, "finetuned_on": finetuned_on,
        "real_percent": 100,
    }  # fmt: skip


def _share(benchmark: str, percent: int, *, pretrained: bool) -> dict[str, Any]:
    if percent == 0:
        return {"trained_on": "synthetic" if pretrained else ""}
    before = "synthetic" if pretrained else ""
    return {"pretrained_on": before, "trained_on": benchmark, "real_percent": percent}


def _few_shots(benchmark: str, shots: int) -> dict[str, Any]:
    """Read a test of V3's unseen categories; each number of shots has a test set of its own."""
    if shots == 0:
        return {"trained_on": benchmark, "real_percent": 100}
    scored = f"{benchmark}-{shots}shot"
    return {"benchmark": scored, **_chain("", benchmark, scored), "shots": shots}
