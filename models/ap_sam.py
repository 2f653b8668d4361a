"""AP-SAM: the audio as one prompt token of SAM.

Annotation-free Audio-Visual Segmentation (Liu et al., https://arxiv.org/abs/2305.11019), the
second baseline of section 4.2.

Frozen: image encoder, prompt encoder, VGGish. Trained: an MLP 128 -> 512 -> 256 (197,376
parameters) and the mask decoder (4,058,340, of which 3,506,304 get a gradient).

Differs from the paper in: the paper names no layer between the 128 numbers of VGGish and the
token of 256; the MLP is that of its released code. The heads of the mask decoder that
no loss reaches are frozen; in the released code they count as trained and never move.
``train_image_encoder`` is added here, for a backbone without pretrained weights.
"""

from torch import Tensor, nn

from avsynth.loading.batch import Batch, Prediction
from avsynth.models.backbones.sam import Sam
from avsynth.models.backbones.vggish import EMBEDDING_DIM, Vggish, audio_embedding
from avsynth.models.parts.adapters import mlp
from avsynth.models.parts.init import draw_linear, seeded
from avsynth.models.parts.losses import bce_iou, target
from avsynth.models.parts.sam_model import SamModel
from avsynth.models.parts.trainable import train_only


class ApSam(SamModel):
    """Audio-prompted SAM; see `build_ap_sam`."""

    name = "ap_sam"

    def __init__(self, sam: Sam, vggish: Vggish | None, *, hidden_dim: int, iou_weight: float):
        super().__init__(sam, vggish)
        self.iou_weight = iou_weight
        self.audio_mlp = mlp((EMBEDDING_DIM, hidden_dim, sam.out_dim), nn.ReLU)
        draw_linear(self.audio_mlp)

    def forward(self, batch: Batch) -> Prediction:
        """Segment the sounding objects in every frame."""
        token = self.audio_mlp(audio_embedding(self.audio_encoder, batch))[:, None]
        logits, _ = self.sam.decode(self.sam.encode(batch), token)
        return Prediction(self.sam.to_frame(logits[:, 0], batch.frame_size))

    def loss(self, batch: Batch) -> Tensor:
        """Return cross-entropy plus soft IoU."""
        return bce_iou(self(batch).logits, target(batch), self.iou_weight)


def build_ap_sam(
    sam: Sam,
    vggish: Vggish | None = None,
    *,
    hidden_dim: int = 512,
    iou_weight: float = 1.0,
    train_image_encoder: bool = False,
    seed: int = 0,
) -> ApSam:
    """Build AP-SAM on a backbone, which it takes over (builds freeze it in place).

    Args:
        sam: the backbone.
        vggish: the audio encoder; None where every batch carries its audio embedding.
        hidden_dim: width inside the audio MLP.
        iou_weight: lambda, the weight of soft IoU in the loss.
        train_image_encoder: train the backbone's encoder too.
        seed: of the new weights.
    """
    with seeded(seed):
        model = ApSam(sam, vggish, hidden_dim=hidden_dim, iou_weight=iou_weight)
    extra = [sam.image_encoder] if train_image_encoder else []
    train_only(model, [model.audio_mlp, *sam.decoder_parts(), *extra])
    return model
