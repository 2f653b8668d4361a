"""VGGish (Hershey et al., https://arxiv.org/abs/1609.09430): 0.96 s of audio to 128 numbers.

Frozen in every system here; 72,141,184 parameters. Takes ``vggish-10086976.pth`` (torchvggish).
As audio-visual segmentation uses it: the last ReLU is kept, so embeddings are not negative, and
the PCA and quantisation of the AudioSet release are off.

Differs from the paper in: nothing but the above. Without a checkpoint the weights are drawn from
a seed: Kaiming normal, biases zero, except that the first layer's biases subtract the log-mel of
silence. A log-mel is a large negative constant plus a little shape. Without the subtraction the
output of a random network depends mostly on the constant, and clips of one category are less
similar to one another.
``tiny`` has the same layers with few channels, for the toy world.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from avsynth.loading.batch import AudioEncoder, Batch
from avsynth.models.backbones.weights import check_weights, read_weights
from avsynth.models.parts.init import seeded
from avsynth.runtime.errors import ConfigError, suggest

EMBEDDING_DIM = 128

SILENCE = math.log(0.01)
"""Log-mel of digital silence, the lowest possible value."""

WIDTHS = {"full": ((64, 128, 256, 512), 4096), "tiny": ((8, 16, 32, 32), 128)}
"""Channels of the four stages, and width of the two hidden linear layers."""


class Vggish(nn.Module):
    """The network: ``[N, 1, 96, 64]`` log-mel to ``[N, 128]``, not negative."""

    embedding_dim = EMBEDDING_DIM

    def __init__(self, stages: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 1
        for index, stage in enumerate(stages):
            for _ in range(1 if index < 2 else 2):  # the last two stages are double
                layers += [nn.Conv2d(width, stage, 3, padding=1), nn.ReLU(inplace=True)]
                width = stage
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(width * 6 * 4, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, EMBEDDING_DIM),
            nn.ReLU(inplace=True),
        )

    def forward(self, logmel: Tensor) -> Tensor:
        """Embed log-mels float ``[N, 1, 96, 64]`` as ``[N, 128]``."""
        features = self.features(logmel).permute(0, 2, 3, 1)  # the original flattens H, W, C
        return self.embeddings(features.flatten(1))


def build_vggish(checkpoint: Path | None = None, *, size: str = "full", seed: int = 0) -> Vggish:
    """Build a frozen VGGish with official weights, or seeded random ones.

    Args:
        checkpoint: ``vggish-10086976.pth``, read with ``weights_only=True``; None for random.
        size: ``full`` or ``tiny``.
        seed: of the random weights; the global random state is left as it was.

    Raises:
        ConfigError: unknown size.
        CheckpointError: the file is damaged or of another network.
    """
    if size not in WIDTHS:
        raise ConfigError("VGGish", "a known size", repr(size), suggest(size, WIDTHS))
    if checkpoint is not None:
        with torch.device("meta"):
            net = Vggish(*WIDTHS[size])
        state = read_weights(checkpoint)
        check_weights(str(checkpoint), state, net.state_dict(), f"VGGish ({size})")
        net.load_state_dict(state, assign=True)
    else:
        with seeded(seed):
            net = Vggish(*WIDTHS[size])
            _draw(net)
    return net.eval().requires_grad_(False)


def _draw(net: Vggish) -> None:
    """Initialise random weights whose embeddings separate different audio."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    first = net.features[0]
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    with torch.no_grad():
        first.bias.copy_(-SILENCE * first.weight.sum(dim=(1, 2, 3)))


def embed(encoder: AudioEncoder, logmel: Tensor, batch_size: int = 64) -> Tensor:
    """Embed log-mels float32 ``[N, 1, 96, 64]`` as float32 ``[N, D]``, in batches.

    The last bits depend on the batch size: equal bytes need equal groups.

    Raises:
        ConfigError: the encoder's output does not have its ``embedding_dim``.
    """
    with torch.no_grad():
        rows = torch.cat([encoder(part).float() for part in logmel.split(batch_size)])
    if rows.shape != (expected := (len(logmel), encoder.embedding_dim)):
        fix = "Set embedding_dim to the width of the encoder's output."
        raise ConfigError("audio_encoder", f"output {expected}", f"{tuple(rows.shape)}", fix)
    return rows


def audio_embedding(encoder: AudioEncoder | None, batch: Batch) -> Tensor:
    """Return the batch's audio embedding ``[N, D]``: its own, or else the encoder's output.

    Raises:
        ConfigError: the batch has none, and the model has no encoder or the batch no log-mel.
    """
    if batch.audio_embedding is not None:
        return batch.audio_embedding
    if encoder is None or batch.logmel is None:
        raise ConfigError(
            "model",
            "a VGGish, or batches with their embedding",
            "neither",
            "Build the model with build_vggish(...), or load embeddings from the audio bank.",
        )
    return embed(encoder, batch.logmel)
