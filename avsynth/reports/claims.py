"""From the papers' words to facts: the experiment behind a published value, a `Claim`.

Each paper writes system, split and training in words of its own. They are read here, once; all
that follows compares columns.
"""

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

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
    """0 where the table does not state it and avsynth does not have the system."""
    pretrained_on: str
    trained_on: str
    finetuned_on: str
    real_percent: int
    shots: int
    ablation: str
    prompt: str


def read_claim(record: pd.Series) -> Claim:
    """Read the claim of one row of ``papers.csv`` from the paper's words."""
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
