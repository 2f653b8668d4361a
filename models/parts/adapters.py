"""Adapters: the trained parts inside a frozen backbone."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from avsynth.models.parts.init import draw_linear
from avsynth.runtime.errors import ConfigError


def mlp(widths: Sequence[int], activation: type[nn.Module]) -> nn.Sequential:
    """Build linear layers of the given widths with an activation between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


class AudioAdapters(nn.Module):
    """SAMA-AVS's audio adapters: one layer down for each block, one layer up for all.

    Block i of ``depth`` has an adapter when i is a multiple of ``depth / num_adapters``.
    """

    def __init__(self, dim: int, depth: int, num_adapters: int, hidden_dim: int, audio_dim: int):
        super().__init__()
        if not 0 < num_adapters <= depth:
            raise ConfigError(
                "SAMA-AVS",
                f"num_adapters from 1 to {depth}, the number of blocks",
                str(num_adapters),
                f"Set num_adapters to {depth} for an adapter in every block.",
            )
        step = depth / num_adapters
        self.blocks = sorted({int(i * step) for i in range(num_adapters)})
        self.depth = depth
        self.down = nn.ModuleList(nn.Linear(audio_dim, hidden_dim) for _ in self.blocks)
        self.up = nn.Linear(hidden_dim, dim)
        draw_linear(self)

    def forward(self, audio: Tensor) -> list[Tensor | None]:
        """Project audio ``[N, audio_dim]`` to depth + 1 tokens ``[N, 1, 1, dim]`` or None."""
        tokens: list[Tensor | None] = [None] * (self.depth + 1)
        for block, down in zip(self.blocks, self.down, strict=True):
            tokens[block] = self.up(F.gelu(down(audio)))[:, None, None]
        return tokens


class ImageAdapter(nn.Module):
    """SAM-Med2D's adapter (https://arxiv.org/abs/2308.16184), which SAVE puts beside each MLP.

    A channel gate, then a spatial hour-glass (3x3 stride 2 down, 4x4 stride 2 up) added to it.

    Args:
        dim: token width.
        spatial_conv: ``dense``, or ``depthwise`` with one filter for each channel.
    """

    def __init__(self, dim: int, spatial_conv: str):
        super().__init__()
        if spatial_conv not in ("dense", "depthwise"):
            fix = "Set spatial_conv to one of the two."
            raise ConfigError("SAVE", "spatial_conv dense or depthwise", repr(spatial_conv), fix)
        groups = dim if spatial_conv == "depthwise" else 1
        self.channel = nn.Sequential(
            nn.Linear(dim, dim // 4, bias=False),
            nn.ReLU(),
            nn.Linear(dim // 4, dim, bias=False),
            nn.Sigmoid(),
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(dim, dim, 3, stride=2, padding=1, groups=groups, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(dim, dim, 4, stride=2, padding=1, groups=groups, bias=False),
            nn.ReLU(),
        )
        self.norm = nn.LayerNorm(dim)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x_BHWD: Tensor) -> Tensor:
        """Adapt tokens ``[B, H, W, D]``; the output of an odd grid is cropped to its size."""
        H, W = x_BHWD.shape[1:3]
        x_BHWD = x_BHWD * self.channel(x_BHWD.mean(dim=(1, 2), keepdim=True))
        spatial = self.spatial(x_BHWD.permute(0, 3, 1, 2))[..., :H, :W]
        return self.norm(x_BHWD + spatial.permute(0, 2, 3, 1))


class ResidualAudioAdapters(nn.Module):
    """SAVE's residual audio adapter, eq. 2: ``PE_i(F) = MLP_i(F) + F`` in every block.

    Term 1 is ``PE_1(F_A)``, term i is ``PE_i(F_A + PE_{i-1}(F_A))``. Each last layer starts at
    zero, so that every ``PE_i`` starts as the identity.

    Args:
        dim: token width of the encoder.
        depth: number of blocks, N.
        hidden_dim: width inside the MLPs.
        mlp_layers: linear layers of each MLP, 2 or 3.
        recurrence: ``literal`` as in eq. 2; ``chained`` puts term i - 1 in place of
            ``PE_{i-1}(F_A)``.
        audio_dim: width of the audio embedding.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        *,
        hidden_dim: int,
        mlp_layers: int,
        recurrence: str,
        audio_dim: int,
    ):
        super().__init__()
        if recurrence not in ("literal", "chained"):
            fix = "Set recurrence to one of the two."
            raise ConfigError("SAVE", "recurrence literal or chained", repr(recurrence), fix)
        self.recurrence = recurrence
        self.project = nn.Linear(audio_dim, dim)
        widths = [dim, *[hidden_dim] * (mlp_layers - 1), dim]
        encoders = [mlp(widths, nn.GELU) for _ in range(depth)]
        self.encoders = nn.ModuleList(encoders)
        draw_linear(self)
        for encoder in encoders:
            nn.init.zeros_(cast(nn.Linear, encoder[-1]).weight)

    def forward(self, audio: Tensor) -> list[Tensor]:
        """Project audio ``[N, audio_dim]`` to one term ``[N, dim]`` for each block."""
        audio = self.project(audio)
        terms: list[Tensor] = []
        plain = torch.zeros_like(audio)
        for index, encoder in enumerate(self.encoders):
            source = audio + plain
            term = encoder(source) + source
            terms.append(term)
            if self.recurrence == "chained" or index == 0:
                plain = term
            elif index + 1 < len(self.encoders):
                plain = encoder(audio) + audio
        return terms
