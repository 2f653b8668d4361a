"""AV-SAM: pixel-wise fusion of audio and image embedding in front of SAM's mask decoder.

AV-SAM: Segment Anything Model Meets Audio-Visual Localization and Segmentation (Mo and Tian,
https://arxiv.org/abs/2305.01836). No code was published.

Trained: ResNet18 on the spectrogram (11,170,240), a linear layer 512 -> 256 (131,328), the four
1x1 convolutions of the fusion (263,168); by switch (Table 2) mask decoder, prompt encoder, image
encoder, all three in the paper's best row. Frozen: the parts that are switched off.

Differs from the paper in, or fills its gaps by: eq. 1 attends over positions that all hold the
same audio, so the attention has rank one; it is computed as such, exactly and in O(HW). Inner
width 256, no batch norm, last convolution starting at zero. The fused map takes the place of the
image embedding, with no sparse prompt; of the prompt encoder only the no-mask embedding is then
in use, and that switch trains it. The spectrogram of 257 x 300 comes from 16 kHz, 512
samples a window and 160 a hop over 3 s (the paper's 50 ms windows cannot give 257 x 300), in the
scaling of the lead author's earlier code; shorter audio is repeated. ResNet18 starts random.
``spectrogram_pool`` is added here, for training on a CPU.
"""

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from avsynth.formats.waveform import SAMPLE_RATE_HZ
from avsynth.loading.batch import Batch, Prediction
from avsynth.models.backbones.sam import Sam
from avsynth.models.backbones.vggish import Vggish
from avsynth.models.parts.init import seeded
from avsynth.models.parts.losses import bce, target
from avsynth.models.parts.sam_model import SamModel
from avsynth.models.parts.trainable import train_only
from avsynth.runtime.errors import DataError

WINDOW, HOP, FRAMES = 512, 160, 300
SAMPLES = WINDOW + HOP * (FRAMES - 1)
"""Samples that give exactly 300 frames: 3.02 s."""


def spectrogram(waveform: Tensor) -> Tensor:
    """Compute the log power / 12 of float32 ``[N, S]``, mono 16 kHz: ``[N, 1, 257, 300]``.

    The middle of longer audio is taken, shorter audio is repeated. Window and scaling are
    those of ``scipy.signal.spectrogram``: Tukey 0.25, density, the mean of each window removed.
    """
    if waveform.shape[1] < SAMPLES:
        waveform = waveform.repeat(1, -(-SAMPLES // max(1, waveform.shape[1])))[:, :SAMPLES]
    start = (waveform.shape[1] - SAMPLES) // 2
    frames = waveform[:, start : start + SAMPLES].float().unfold(1, WINDOW, HOP)
    window = _tukey(waveform.device)
    power = torch.fft.rfft((frames - frames.mean(-1, keepdim=True)) * window).abs().square()
    power = power / (SAMPLE_RATE_HZ * window.square().sum())
    power = torch.cat((power[..., :1], 2 * power[..., 1:-1], power[..., -1:]), dim=-1)
    return (power + 1e-7).log().div(12).transpose(1, 2)[:, None]


def _tukey(device: torch.device, taper_frac: float = 0.25) -> Tensor:
    """Return a periodic Tukey window of `WINDOW` samples."""
    place = torch.arange(WINDOW, device=device) / WINDOW
    edge = torch.minimum(place, 1 - place) / (taper_frac / 2)
    return torch.where(edge < 1, 0.5 * (1 - torch.cos(torch.pi * edge)), 1.0)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


class PixelFusion(nn.Module):
    """Eq. 1: ``z = v + mu(theta(v) phi(a)^T / (HW) . omega(v))`` with a constant over positions."""

    def __init__(self, dim: int):
        super().__init__()
        self.theta, self.phi, self.omega, self.mu = (nn.Conv2d(dim, dim, 1) for _ in range(4))
        nn.init.zeros_(self.mu.weight)
        nn.init.zeros_(_bias(self.mu))

    def forward(self, v_NCHW: Tensor, a_NC: Tensor) -> Tensor:
        """Fuse image embedding ``[N, C, H, W]`` with audio ``[N, C]``."""
        a_NC11 = self.phi(a_NC[..., None, None])
        score = (self.theta(v_NCHW) * a_NC11).sum(1, keepdim=True)
        # A 1x1 convolution commutes with the mean, and mu is linear but for its bias.
        mean = self.omega(v_NCHW.mean(dim=(2, 3), keepdim=True))
        direction = nn.functional.conv2d(mean, self.mu.weight)
        return v_NCHW + score * direction + _bias(self.mu)[:, None, None]


class AvSam(SamModel):
    """SAM with audio-visual fusion; see `build_av_sam`."""

    name = "av_sam"
    needs_waveform = True

    def __init__(self, sam: Sam, *, spectrogram_pool: int):
        super().__init__(sam)
        self.spectrogram_pool = spectrogram_pool
        self.spectrogram_encoder = resnet18()
        self.spectrogram_encoder.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        self.spectrogram_encoder.avgpool = nn.AdaptiveMaxPool2d(1)
        self.spectrogram_encoder.fc = nn.Identity()
        self.project = nn.Linear(512, sam.out_dim)
        self.fusion = PixelFusion(sam.out_dim)

    def forward(self, batch: Batch) -> Prediction:
        """Segment the sounding objects in every frame."""
        if batch.waveform is None:
            where = f"AV-SAM, batch of {batch.keys[0]}" if batch.keys else "AV-SAM"
            fix = "Load batches with their waveform (SampleSpec.waveform)."
            raise DataError(where, "waveforms", "none", fix)
        pooled = nn.functional.avg_pool2d(spectrogram(batch.waveform), self.spectrogram_pool)
        audio = self.project(self.spectrogram_encoder(pooled))
        logits, _ = self.sam.decode(self.fusion(self.sam.encode(batch), audio))
        return Prediction(self.sam.to_frame(logits[:, 0], batch.frame_size))

    def loss(self, batch: Batch) -> Tensor:
        """Return cross-entropy."""
        return bce(self(batch).logits, target(batch))


def build_av_sam(
    sam: Sam,
    vggish: Vggish | None = None,
    *,
    train_mask_decoder: bool = True,
    train_prompt_encoder: bool = True,
    train_image_encoder: bool = True,
    spectrogram_pool: int = 1,
    seed: int = 0,
) -> AvSam:
    """Build AV-SAM on a backbone, which it takes over (builds freeze it in place).

    Args:
        sam: the backbone.
        vggish: not used: the system encodes audio with its own ResNet18.
        train_mask_decoder: train SAM's mask decoder (Table 2).
        train_prompt_encoder: train the used part of SAM's prompt encoder (Table 2).
        train_image_encoder: train SAM's image encoder (Table 2).
        spectrogram_pool: side of the average pooling of the spectrogram; 1 in the paper.
        seed: of the new weights.
    """
    del vggish
    with seeded(seed):
        model = AvSam(sam, spectrogram_pool=spectrogram_pool)
    parts: list[nn.Module] = [model.spectrogram_encoder, model.project, model.fusion]
    if train_mask_decoder:
        parts += sam.decoder_parts()
    if train_prompt_encoder:
        parts.append(sam.prompt_encoder.no_mask_embed)
    if train_image_encoder:
        parts.append(sam.image_encoder)
    train_only(model, parts)
    return model
