"""SAM as an oracle: the best of its masks, chosen by the ground truth, without audio.

Segment Anything (Kirillov et al., https://arxiv.org/abs/2304.02643) as the baseline of
Annotation-free Audio-Visual Segmentation (https://arxiv.org/abs/2305.11019, section 4.2:
``automatic``) and of ST-BAVA (https://arxiv.org/abs/2406.06163, Table 2: ``points``, ``boxes``).

Frozen: everything. Trained: nothing.

Differs from the paper in, or fills its gaps by: the chosen hard mask becomes logits of +-20 (a
probability of 1.0 and 0.0), so that every threshold of the F-measure counts it. An empty ground
truth gives an empty mask (IoU 1), and so does a frame without proposals. Of the masks for one point
the one with the highest predicted IoU is taken. Several points form one prompt; for several
boxes the union of their masks is taken.
"""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything import SamAutomaticMaskGenerator, SamPredictor
from torch import Tensor, nn

from avsynth.core.hashing import order_key
from avsynth.loading.batch import Batch, Prediction
from avsynth.models.backbones.sam import Sam
from avsynth.models.backbones.vggish import Vggish
from avsynth.models.parts.losses import target
from avsynth.models.parts.sam_model import SamModel
from avsynth.runtime.errors import ConfigError

LOGIT = 20.0
"""Of a hard mask: its sigmoid rounds to exactly 1 in float32."""

PROMPTS = ("automatic", "points", "boxes")


class _Predictor(SamPredictor):
    """The official predictor, which encodes with `Sam.encode` and so may use its cache."""

    def set_torch_image(self, image: Tensor, size: tuple[int, ...]) -> None:
        """Encode uint8 ``[1, 3, H, W]`` of the input's size."""
        height, width = image.shape[-2:]
        self.original_size, self.input_size = size, (height, width)
        with torch.no_grad():
            self.features = self.model.encode(Batch(("",), image, (height, width)))
        self.is_image_set = True


class SamOracle(SamModel):
    """SAM prompted or chosen by the ground truth; see `build_sam_oracle`."""

    name = "sam_oracle"

    def __init__(self, sam: Sam, *, prompt: str, num_prompts: int, points_per_side: int):
        super().__init__(sam)
        automatic = prompt == "automatic"
        self.ground_truth_use = prompt if automatic else f"{num_prompts} {prompt}"
        self.prompt, self.num_prompts = prompt, num_prompts
        self.points_per_side = points_per_side

    def forward(self, batch: Batch) -> Prediction:
        """Return for every frame the mask that its own ground truth chooses."""
        with torch.no_grad():
            return Prediction(self._choose(batch))

    def _choose(self, batch: Batch) -> Tensor:
        """Return logits of +-`LOGIT`, float32 ``[N, Hf, Wf]``."""
        ground_truth = target(batch).bool()
        logits = torch.full_like(ground_truth, -LOGIT, dtype=torch.float32)
        embedding = None if self.prompt == "automatic" else self.sam.encode(batch).float()
        # Under autocast the coordinates of points would be rounded to 8 bits.
        with torch.autocast(ground_truth.device.type, enabled=False):
            for index in range(len(batch)):
                if not ground_truth[index].any():
                    continue
                if embedding is None:
                    mask = self._automatic(batch.image[index], ground_truth[index])
                else:
                    frame = embedding[index : index + 1]
                    mask = self._prompted(frame, ground_truth[index], batch.keys[index])
                logits[index][mask] = LOGIT
        return logits

    def _automatic(self, image: Tensor, ground_truth: Tensor) -> Tensor:
        """Return the proposal with the highest IoU, bool ``[Hf, Wf]``."""
        generator = SamAutomaticMaskGenerator(self.sam, points_per_side=self.points_per_side)
        generator.predictor = _Predictor(self.sam)
        found = generator.generate(image.permute(1, 2, 0).contiguous().cpu().numpy())
        best, best_iou = torch.zeros_like(ground_truth), 0.0
        for proposal in found:
            mask = torch.from_numpy(proposal["segmentation"]).to(ground_truth.device)
            mask = nn.functional.interpolate(mask[None, None].float(), ground_truth.shape)[0, 0] > 0
            iou = float((mask & ground_truth).sum() / (mask | ground_truth).sum())
            if iou > best_iou:
                best, best_iou = mask, iou
        return best

    def _prompted(self, embedding: Tensor, ground_truth: Tensor, key: str) -> Tensor:
        """Return the mask for points or boxes of the largest regions, bool ``[Hf, Wf]``."""
        found = regions(ground_truth.cpu().numpy(), self.num_prompts)
        height, width = ground_truth.shape
        scale = np.array([self.input_size / width, self.input_size / height])
        encoder, device = self.sam.prompt_encoder, embedding.device
        if self.prompt == "boxes":
            corners = np.stack([_box(region) for region in found]) * np.tile(scale, 2)
            boxes = torch.as_tensor(corners, dtype=torch.float32, device=device)
            sparse, _ = encoder(points=None, boxes=boxes, masks=None)
            logits, _ = self.sam.decode(embedding.expand(len(boxes), -1, -1, -1), sparse)
            return (self.sam.to_frame(logits[:, 0], (height, width)) > 0).any(dim=0)
        places = np.stack([(_point(region, key) + 0.5) * scale - 0.5 for region in found])
        points = torch.as_tensor(places[None], dtype=torch.float32, device=device)
        labels = torch.ones(points.shape[:2], device=device)
        sparse, _ = encoder(points=(points, labels), boxes=None, masks=None)
        logits, iou = self.sam.decode(embedding, sparse, multimask=len(found) == 1)
        return self.sam.to_frame(logits[:, iou[0].argmax()], (height, width))[0] > 0

    def loss(self, batch: Batch) -> Tensor:
        """Raise an error, because the oracle trains nothing.

        Raises:
            ConfigError: always.
        """
        fix = "Remove it from the models to train, or train another model."
        raise ConfigError("sam_oracle", "a model that trains", "the oracle, which does not", fix)


def regions(ground_truth: NDArray[np.bool_], number: int) -> list[NDArray[np.bool_]]:
    """Return the largest connected regions of a mask, largest first (at most ``number``)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ground_truth.astype(np.uint8))
    order = sorted(range(1, count), key=lambda i: (-stats[i, cv2.CC_STAT_AREA], i))
    return [labels == i for i in order[:number]]


def _box(region: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the tight box ``x0, y0, x1, y1`` (pixels x0 <= x < x1) of a region."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def _point(region: NDArray[np.bool_], key: str) -> NDArray[np.int64]:
    """Return the pixel ``x, y`` at the centre of mass, or, if outside, a random inner one."""
    ys, xs = np.nonzero(region)
    x, y = round(float(xs.mean())), round(float(ys.mean()))
    if not region[y, x]:
        seed = int.from_bytes(order_key(key)[:8], "big")
        chosen = np.random.default_rng(seed).integers(len(xs))
        x, y = int(xs[chosen]), int(ys[chosen])
    return np.array([x, y])


def build_sam_oracle(
    sam: Sam,
    vggish: Vggish | None = None,
    *,
    prompt: str = "automatic",
    num_prompts: int = 1,
    points_per_side: int = 32,
    seed: int = 0,
) -> SamOracle:
    """Build the oracle on a backbone, which it takes over (builds freeze it in place).

    Args:
        sam: the backbone.
        vggish: not used: the oracle uses no audio.
        prompt: ``automatic`` masks of which the best is taken, or ``points`` or ``boxes``.
        num_prompts: points or boxes in a frame, for its largest regions (paper: 1 and 3).
        points_per_side: grid of the automatic masks.
        seed: not used: no weights are random.

    Raises:
        ConfigError: unknown prompt.
    """
    del vggish, seed
    if prompt not in PROMPTS:
        fix = "Set prompt to one of them."
        raise ConfigError("sam_oracle", f"a prompt of {', '.join(PROMPTS)}", repr(prompt), fix)
    sam.requires_grad_(False)
    return SamOracle(sam, prompt=prompt, num_prompts=num_prompts, points_per_side=points_per_side)
