"""The text of a run's facts, as tables show it."""

from collections.abc import Mapping
from typing import Any

_BENCHMARKS = {
    "synthetic": "AVS-Synthetic",
    "s4": "AVSBench S4",
    "ms3": "AVSBench MS3",
    "v2": "AVSS V2",
    "flickr": "Flickr-SoundNet",
    "v3": "AVSS V3 unseen, 0-shot",
    "v3-1shot": "AVSS V3 unseen, 1-shot",
    "v3-3shot": "AVSS V3 unseen, 3-shot",
    "v3-5shot": "AVSS V3 unseen, 5-shot",
}


def benchmark_title(benchmark: str) -> str:
    """Return the name of a benchmark for people."""
    return _BENCHMARKS.get(benchmark, benchmark)


def training_text(facts: Mapping[str, Any]) -> str:
    """Return how a model was trained, e.g. ``AVS-Synthetic → 10 % of AVSBench S4``.

    Args:
        facts: columns of `avsynth.metrics.rows.RunFacts`, of a row or of a published claim.
    """
    names = [facts[name] for name in ("pretrained_on", "trained_on", "finetuned_on")]
    steps = [_step(name, facts) for name in names if name]
    text = " → ".join(steps) or _untrained(facts["prompt"])
    return f"{text}; {facts['ablation']}" if facts["ablation"] else text


def input_text(facts: Mapping[str, Any]) -> str:
    """Return the input of a model, e.g. ``1024 px, vit_h``."""
    size = f"{facts['input_size']} px" if facts["input_size"] else ""
    return ", ".join(part for part in (size, facts["architecture"]) if part)


def _step(dataset: str, facts: Mapping[str, Any]) -> str:
    if dataset == "v3":
        return "AVSS V3 seen"
    if facts["shots"] and dataset == facts["finetuned_on"]:
        return "1 shot" if facts["shots"] == 1 else f"{facts['shots']} shots"
    title = benchmark_title(dataset)
    share = dataset == facts["trained_on"] and 0 < facts["real_percent"] < 100
    return f"{facts['real_percent']} % of {title}" if share else title


def _untrained(prompt: str) -> str:
    if prompt == "automatic":
        return "not trained; best of the automatic masks"
    if not prompt:
        return "not trained"
    single = {"1 boxes": "1 box", "1 points": "1 point"}
    return f"not trained; prompted with {single.get(prompt, prompt)} of the ground truth"
