"""SAMA-AVS: audio added to every block of SAM's image encoder.

Annotation-free Audio-Visual Segmentation (Liu et al., https://arxiv.org/abs/2305.11019), section
3.3 and its released code.

Frozen: image encoder, prompt encoder but the no-mask embedding, VGGish. Trained: audio adapters
(ViT-H 2,770,176; ViT-L 2,110,464; ViT-B 1,186,560), mask decoder (4,058,340, of which 3,506,304
get a gradient), no-mask embedding (256). With ViT-H 6,828,772 as the released code counts them.

Differs from the paper in: the upper layer of the adapters is shared by all blocks and the
position embedding is frozen and pretrained, as in the released code, not learned from zero.
No-mask embedding and positional encoding start from SAM's own; in the released code their names
do not match SAM's and they stay random (``random_prompts`` does that). The heads of the mask
decoder that no loss reaches are frozen; in the released code they count as trained and never
move. ``train_image_encoder`` is added here, for a backbone without pretrained weights.
"""

from torch import Tensor, nn

from avsynth.loading.batch import Batch, Prediction
from avsynth.models.backbones.sam import Sam
from avsynth.models.backbones.vggish import EMBEDDING_DIM, Vggish, audio_embedding
from avsynth.models.parts.adapters import AudioAdapters
from avsynth.models.parts.init import seeded
from avsynth.models.parts.losses import bce_iou, target
from avsynth.models.parts.sam_model import SamModel
from avsynth.models.parts.trainable import train_only


class SamaAvs(SamModel):
    """SAM with audio adapters; see `build_sama_avs`."""

    name = "sama_avs"

    def __init__(
        self,
        sam: Sam,
        vggish: Vggish | None,
        *,
        num_adapters: int,
        hidden_dim: int,
        iou_weight: float,
        bce_weight: float,
        random_prompts: bool,
    ):
        super().__init__(sam, vggish)
        self.iou_weight, self.bce_weight = iou_weight, bce_weight
        self.random_prompts = random_prompts
        self.adapters = AudioAdapters(sam.dim, sam.depth, num_adapters, hidden_dim, EMBEDDING_DIM)
        if random_prompts:
            nn.init.normal_(sam.prompt_encoder.no_mask_embed.weight)
            encoding = sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
            nn.init.normal_(encoding)

    def forward(self, batch: Batch) -> Prediction:
        """Segment the sounding objects in every frame."""
        tokens = self.adapters(audio_embedding(self.audio_encoder, batch))
        logits, _ = self.sam.decode(self.sam.encode(batch, tokens))
        return Prediction(self.sam.to_frame(logits[:, 0], batch.frame_size))

    def trainable_names(self) -> list[str]:
        """Return the names of the trained parameters (and of a random encoding), sorted."""
        encoding = "sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
        return sorted([*super().trainable_names(), *([encoding] if self.random_prompts else [])])

    def loss(self, batch: Batch) -> Tensor:
        """Return cross-entropy plus soft IoU."""
        logits, mask = self(batch).logits, target(batch)
        return bce_iou(logits, mask, self.iou_weight, self.bce_weight)


def build_sama_avs(  # noqa: PLR0913 - flat parameters, one for each choice
    sam: Sam,
    vggish: Vggish | None = None,
    *,
    num_adapters: int = 32,
    hidden_dim: int = 512,
    iou_weight: float = 1.0,
    bce_weight: float = 1.0,
    random_prompts: bool = False,
    train_image_encoder: bool = False,
    seed: int = 0,
) -> SamaAvs:
    """Build SAMA-AVS on a backbone, which it takes over (builds freeze it in place).

    Args:
        sam: the backbone.
        vggish: the audio encoder; None where every batch carries its audio embedding.
        num_adapters: blocks that get audio, evenly spread; a number above the depth means all.
        hidden_dim: width inside the adapters.
        iou_weight: lambda, the weight of soft IoU in the loss.
        bce_weight: the weight of cross-entropy; 0 for the paper's "IoU only".
        random_prompts: emulate the released code's random prompt parameters.
        train_image_encoder: train the backbone's encoder too.
        seed: of the new weights.
    """
    with seeded(seed):
        model = SamaAvs(
            sam,
            vggish,
            num_adapters=min(num_adapters, sam.depth),
            hidden_dim=hidden_dim,
            iou_weight=iou_weight,
            bce_weight=bce_weight,
            random_prompts=random_prompts,
        )
    no_mask = sam.prompt_encoder.no_mask_embed
    extra = [sam.image_encoder] if train_image_encoder else []
    train_only(model, [model.adapters, no_mask, *sam.decoder_parts(), *extra])
    return model
