"""From logits to the heat maps that localisation scores."""

import numpy as np
import torch
from torch import Tensor

from avsynth.metrics.localisation import SIDE_PX, Map


def heat_maps(logits: Tensor) -> Map:
    """Turn logits or similarities into heat maps.

    Args:
        logits: float ``[N, H, W]``.

    Returns:
        float64 ``[N, 224, 224]``, each stretched to 0..1; a constant map becomes all 0.
    """
    resized = torch.nn.functional.interpolate(
        logits.float()[:, None], size=(SIDE_PX, SIDE_PX), mode="bilinear", align_corners=True
    )[:, 0]
    heat: Map = resized.double().cpu().numpy()
    low = heat.min(axis=(1, 2), keepdims=True)
    span = heat.max(axis=(1, 2), keepdims=True) - low
    return np.asarray((heat - low) / np.where(span > 0, span, 1.0))
