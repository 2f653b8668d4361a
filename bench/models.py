"""Benchmark of the models on a CPU, compared with the unchanged segment-anything (fp32, eager).

    python -m bench.models            # all cases, several minutes
    python -m bench.models --quick    # the tiny backbone, seconds: a check that all cases run

Variants of a case run alternately, round by round. A ratio is computed within a round. On a machine
with other load, use the CPU time and not the wall time.
"""

import argparse
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avsynth.loading.batch import Batch
from avsynth.models import MODELS
from avsynth.models.backbones.architectures import ARCHITECTURES
from avsynth.models.backbones.encoder import ImageEncoder, OfficialBlock
from avsynth.models.backbones.sam import build_sam
from bench.interleaved import Goals, machine, measure, table

OFFICIAL, FAST = "segment-anything", "avsynth"


class OfficialEncoder(ImageEncoder):
    """The official blocks, run as in segment-anything, with audio tokens added."""

    def forward(
        self,
        x: Tensor,
        tokens: Sequence[Tensor | None] = (),
        adapters: Sequence[nn.Module] = (),
    ) -> Tensor:
        """Encode images; see `ImageEncoder.forward`."""
        assert not adapters
        x = self.patch_embed(x) + self.pos_embed
        for index, block in enumerate(self.blocks):
            if tokens and (token := tokens[index]) is not None:
                x = x + token
            x = OfficialBlock.forward(block, x)
        return self.neck(x.permute(0, 3, 1, 2))


@dataclass(frozen=True)
class Setting:
    """One setting: the encoder and the precision."""

    encoder: str
    bfloat16: bool = False
    checkpointing: bool = False

    @property
    def name(self) -> str:
        """The name of the setting in the table."""
        kept = ", checkpointing" if self.checkpointing else ""
        return f"{self.encoder}, {'bf16' if self.bfloat16 else 'fp32'}{kept}"

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context to run in."""
        return torch.autocast("cpu", torch.bfloat16) if self.bfloat16 else nullcontext()


GOALS: dict[str, Goals] = {
    "256": {"avsynth, fp32": (1.5, 1.65), "avsynth, bf16": (2.5, 3.2)},
    "1024": {"avsynth, fp32": (1.35, 1.42), "avsynth, bf16": (2.0, 2.2)},
    "training": {"avsynth, bf16": (2.0, 2.5)},
    "cached": {"avsynth, bf16, from the cache": (30, 60)},
}
"""For vit_b; case -> ratio that it must reach, and the stretch goal."""

INFERENCE = [Setting(e, b) for e in (OFFICIAL, FAST) for b in (False, True)]
TRAINING = [*INFERENCE, Setting(FAST, True, True)]


def make_batch(architecture: str, size: int, frames: int) -> Batch:
    """Sample a random batch with audio embeddings and masks."""
    rng = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (frames, 3, size, size), dtype=torch.uint8, generator=rng)
    return Batch(
        keys=tuple(str(i) for i in range(frames)),
        image=pixels,
        frame_size=(size, size),
        logmel=torch.zeros(frames, 1, 96, 64),
        audio_embedding=torch.rand(frames, 128, generator=rng),
        mask=(torch.rand(frames, size, size, generator=rng) > 0.8).byte(),
    )


def run_as(setting: Setting, model: nn.Module) -> None:
    """Switch a model to a setting's encoder; the parameters stay the same objects."""
    encoder = model.sam.image_encoder
    encoder.__class__ = OfficialEncoder if setting.encoder == OFFICIAL else ImageEncoder
    encoder.checkpointing = setting.checkpointing


def forward_case(architecture: str, size: int, frames: int, rounds: int, goals: Goals) -> str:
    """Measure encoding images without gradients."""
    model = MODELS["ap_sam"](build_sam(architecture, size))
    batch, results = make_batch(architecture, size, frames), {}

    def job(setting: Setting) -> Callable[[], object]:
        def run() -> None:
            run_as(setting, model)
            with torch.no_grad(), setting.autocast():
                results[setting.name] = model.sam.encode(batch).float()

        return run

    timings = measure({s.name: job(s) for s in INFERENCE}, rounds)
    exact = results[INFERENCE[0].name]
    notes = {
        name: f"error {((found - exact).norm() / exact.norm()).item():.1e}"
        for name, found in results.items()
    }
    return table(f"Encoder {architecture}, {size} px, batch {frames}", timings, notes, goals)


def training_case(architecture: str, size: int, frames: int, rounds: int, goals: Goals) -> str:
    """Measure SAMA-AVS training steps: forward, loss, backward, AdamW (learning rate 0)."""
    model = MODELS["sama_avs"](build_sam(architecture, size))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0, fused=True)
    batch = make_batch(architecture, size, frames)

    def job(setting: Setting) -> Callable[[], Tensor]:
        def run() -> Tensor:
            run_as(setting, model)
            optimizer.zero_grad()
            with setting.autocast():
                loss = model.loss(batch)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return run

    jobs = {s.name: job(s) for s in TRAINING}
    notes = {}
    for name, run in jobs.items():
        saved, loss = saved_bytes(model, run)
        notes[name] = f"loss {loss:.6f}; saves {saved / frames / 2**20:.1f} MiB a frame"
    timings = measure(jobs, rounds)
    title = f"SAMA-AVS training step {architecture}, {size} px, batch {frames}"
    return table(title, timings, notes, goals)


def saved_bytes(model: nn.Module, step: Callable[[], Tensor]) -> tuple[int, float]:
    """Count the bytes that autograd keeps for backward, each storage once, without parameters."""
    step()  # the first step makes rounded copies of frozen weights, which are not activations
    weights = [*model.state_dict().values()]
    for layer in model.modules():
        weights += layer.__dict__.get("_rounded", ())[1:]
    parameters = {p.untyped_storage().data_ptr() for p in weights}
    storages: dict[int, int] = {}
    kept: list[Tensor] = []  # keeps tensors alive, so that no address is reused

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            storages[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = step()
    return sum(storages.values()), loss.item()


def cached_case(architecture: str, size: int, frames: int, rounds: int, goals: Goals) -> str:
    """Measure AP-SAM training steps that compute the image embedding or read it from a cache."""
    model = MODELS["ap_sam"](build_sam(architecture, size))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0, fused=True)
    batch = make_batch(architecture, size, frames)
    with torch.no_grad():
        embedding = model.sam.encode(batch).bfloat16()

    def job(setting: Setting, *, cached: bool) -> Callable[[], object]:
        def run() -> None:
            run_as(setting, model)
            model.sam.embedding_cache = (lambda *_: embedding.float()) if cached else None
            optimizer.zero_grad()
            with setting.autocast():
                loss = model.loss(batch)
            loss.backward()
            optimizer.step()

        return run

    jobs = {f"{s.name}, encoder run": job(s, cached=False) for s in (INFERENCE[0], INFERENCE[3])}
    jobs |= {f"{s.name}, from the cache": job(s, cached=True) for s in INFERENCE[2:]}
    note = f"{embedding.nbytes / frames / 1024:.0f} KiB a frame in the cache"
    notes = {name: note for name in jobs if "cache" in name}
    title = f"AP-SAM training step {architecture}, {size} px, batch {frames}"
    return table(title, measure(jobs, rounds), notes, goals)


def main() -> None:
    """Run the cases and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="tiny backbone, one round")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each case (default 5)")
    parser.add_argument("--architecture", default="vit_b", choices=sorted(ARCHITECTURES))
    parser.add_argument("--cases", default="256,1024,training,cached", help="comma-separated")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    name, rounds = options.architecture, options.rounds
    if options.quick:
        name, rounds = "tiny", 1
    goals: dict[str, Goals] = GOALS if name == "vit_b" else {case: {} for case in GOALS}
    large = 256 if options.quick else 1024
    cases: dict[str, Callable[[Goals], str]] = {
        "256": lambda goals: forward_case(name, 256, 4, rounds, goals),
        "1024": lambda goals: forward_case(name, large, 1, min(rounds, 3), goals),
        "training": lambda goals: training_case(name, 256, 4, rounds, goals),
        "cached": lambda goals: cached_case(name, 256, 4, rounds, goals),
    }
    print(machine(), end="\n\n")
    for case in options.cases.split(","):
        print(cases[case](goals[case]), flush=True)


if __name__ == "__main__":
    main()
