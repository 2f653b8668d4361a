"""The papers' printed numbers (``resources/papers.csv``), their contradictions, and ours beside.

A printed value belongs to a *claim*: system, input size, benchmark, split, training and metric.
Where one paper prints several values for one claim, all of them are shown.
"""

import re
from dataclasses import dataclass
from importlib.resources import files

import pandas as pd

from avsynth.reports.page.tables import Printed

SYSTEMS = {
    "SAM": "sam_oracle",
    "AP-SAM": "ap_sam",
    "AV-SAM": "av_sam",
    "SAMA-AVS": "sama_avs",
    "SAMA-AVS-FT": "sama_avs",
    "SAVE": "save",
    "ST-BAVA": "st_bava",
    "ST-BAVA Full": "st_bava",
    "+ ST-BAVA": "st_bava",
}
"""Printed system -> key of the models that implement it."""
BENCHMARK_NAMES = {
    "AVS-Synthetic": "synthetic",
    "AVSBench S4": "s4",
    "AVSBench MS3": "ms3",
    "AVSS V2": "v2",
    "Flickr-SoundNet": "flickr",
}
SHOTS = {"0-shot": "v3", "1-shot": "v3-1shot", "3-shot": "v3-3shot", "5-shot": "v3-5shot"}
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
REAL = "real"
PRETRAINED = "synthetic, then real"
_SYSTEM = re.compile(r"(.*?)(?: \((\d+)\)| \(\*+\))?")
_SIZE = re.compile(r"(?:ViT-H, |ViT-Huge, |ViT-Base, |PVT-v2, )?(224|256|1024)(?:, | |$)")
_QUOTED = re.compile(r",? ?\(?quoted\)?$")
_FULLY_REAL = {
    "", "w/o F.T.", "100% real, w/o P.T.", "+ image encoder adapter", "trained with Real",
}  # fmt: skip
_PRETRAINED = {"w/ F.T. (Syn.)", "100% real, w/ P.T.", "w/ F.T."}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a printed value says something about."""

    paper: str
    system: str
    size: str
    benchmark: str
    split: str
    training: str
    metric: str


def read_papers() -> pd.DataFrame:
    """Read the printed values, in the order of the papers' tables, ``value`` as float."""
    with (files("avsynth.resources") / "papers.csv").open("rb") as file:
        papers = pd.read_csv(file, dtype=str, keep_default_na=False)
    return papers.assign(value=papers["value"].astype(float))


def claim_of(record: pd.Series) -> Claim:
    """Say what a printed value claims, in words that are the same in every table of a paper."""
    system, size = _SYSTEM.fullmatch(record["system"]).groups("")  # type: ignore[union-attr]
    setting = record["setting"].replace(" (AVS-Synthetic)", "")
    if found := _SIZE.match(setting):
        size, setting = found[1], setting[found.end() :]
    training = _QUOTED.sub("", "" if setting == "-" else setting)
    if training in _FULLY_REAL:
        training = REAL
    elif training in _PRETRAINED:
        training = PRETRAINED
    return Claim(
        record["paper"], system, size, record["benchmark"], record["split"], training,
        record["metric"],
    )  # fmt: skip


def printed_by_claim(papers: pd.DataFrame) -> dict[Claim, Printed]:
    """Gather every value that a paper prints for a claim, with the tables it stands in."""
    values: dict[Claim, list[tuple[float, str]]] = {}
    for _, record in papers.iterrows():
        where = record["table"] if record["table"].startswith("text") else f"T{record['table']}"
        values.setdefault(claim_of(record), []).append((record["value"], where))
    return {claim: Printed(tuple(found), claim.metric) for claim, found in values.items()}


def contradictions(papers: pd.DataFrame) -> dict[Claim, Printed]:
    """Select the claims for which a paper prints more than one value."""
    return {claim: cell for claim, cell in printed_by_claim(papers).items() if cell.disputed}


def answers(claim: Claim, run: pd.Series) -> bool:
    """Whether a scored run of ours is the experiment that a claim is about.

    Args:
        claim: of a printed value.
        run: any score row of the run.
    """
    benchmark = SHOTS.get(claim.training, BENCHMARK_NAMES.get(claim.benchmark))
    if (SYSTEMS.get(claim.system), benchmark) != (run["model"], run["benchmark"]):
        return False
    if benchmark == "synthetic":
        return bool(run["stage"] == "test")
    words = {
        REAL: _FULLY_REAL - {""},
        PRETRAINED: _PRETRAINED,
        "0% real, w/ P.T.": {"0% real, w/ P.T.", "trained with Synthetic"},
        "trained with Synthetic": {"0% real, w/ P.T.", "trained with Synthetic"},
    }
    return run["setting"] in words.get(claim.training, {claim.training})
