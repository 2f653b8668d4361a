"""SAVE: adapters for image and audio in SAM's encoder, and the audio as a sparse prompt.

SAVE: Segment Audio-Visual Easy way using Segment Anything Model (Nguyen and Park,
https://arxiv.org/abs/2407.02004). No code was published.

Frozen: SAM's own image encoder, prompt encoder, VGGish. Trained: an image adapter in each block
(dense ViT-B 180,504,576, ViT-H 1,337,016,320; depthwise 3,787,776 and 27,320,320), a residual
audio adapter in each block, the MLP that makes the prompt token, and the mask decoder.

Differs from the paper in, or fills its gaps by: a linear layer 128 -> D in front of eq. 2; MLPs
of width D / 4; last layers that start at zero and a norm before the prompt MLP, because eq. 2
sums N terms without scale; each term of eq. 2 is both added after its block and summed for the
prompt; one token of 256 where the text says 256 x H x W; AdamW at 2e-4 (not "2 x 10e-4") is set
in the training parameters. Without the audio adapter the prompt MLP reads the linear layer.
The heads of the mask decoder that no loss reaches are frozen. ``train_image_encoder`` is added
here, for a backbone without pretrained weights.
"""

import torch
from torch import Tensor, nn

from avsynth.loading.batch import Batch, Prediction
from avsynth.models.backbones.sam import Sam
from avsynth.models.backbones.vggish import EMBEDDING_DIM, Vggish, audio_embedding
from avsynth.models.parts.adapters import ImageAdapter, ResidualAudioAdapters, mlp
from avsynth.models.parts.init import draw_linear, seeded
from avsynth.models.parts.losses import bce_iou, target
from avsynth.models.parts.sam_model import SamModel
from avsynth.models.parts.trainable import train_only
from avsynth.runtime.errors import ConfigError


class Save(SamModel):
    """SAM with SAVE's modules; see `build_save`. None switches a module off."""

    name = "save"

    def __init__(
        self,
        sam: Sam,
        vggish: Vggish | None,
        *,
        image_adapters: nn.ModuleList | None,
        audio_adapters: ResidualAudioAdapters | None,
        prompt_source: str | None,
        iou_weight: float,
    ):
        super().__init__(sam, vggish)
        self.image_adapters, self.audio_adapters = image_adapters, audio_adapters
        self.prompt_source, self.iou_weight = prompt_source, iou_weight
        self.prompt: nn.Sequential | None = None
        if prompt_source is not None:
            width = EMBEDDING_DIM if audio_adapters is None else sam.dim
            self.prompt = nn.Sequential(
                nn.LayerNorm(width), mlp((width, sam.out_dim, sam.out_dim), nn.GELU)
            )
            draw_linear(self.prompt)

    def forward(self, batch: Batch) -> Prediction:
        """Segment the sounding objects in every frame."""
        source = audio_embedding(self.audio_encoder, batch)
        tokens: list[Tensor | None] | None = None
        if self.audio_adapters is not None:
            terms = self.audio_adapters(source)
            tokens = [None, *(term[:, None, None] for term in terms)]
            source = torch.stack(terms).sum(0) if self.prompt_source == "sum" else terms[-1]
        adapters = None if self.image_adapters is None else list(self.image_adapters)
        embedding = self.sam.encode(batch, tokens, adapters)
        token = None if self.prompt is None else self.prompt(source)[:, None]
        logits, _ = self.sam.decode(embedding, token)
        return Prediction(self.sam.to_frame(logits[:, 0], batch.frame_size))

    def loss(self, batch: Batch) -> Tensor:
        """Return cross-entropy plus soft IoU."""
        return bce_iou(self(batch).logits, target(batch), self.iou_weight)


def build_save(  # noqa: PLR0913 - flat parameters, one for each choice
    sam: Sam,
    vggish: Vggish | None = None,
    *,
    spatial_conv: str | None = "dense",
    recurrence: str | None = "literal",
    prompt_source: str | None = "sum",
    hidden_dim: int | None = None,
    mlp_layers: int = 2,
    iou_weight: float = 1.0,
    train_image_encoder: bool = False,
    seed: int = 0,
) -> Save:
    """Build SAVE on a backbone, which it takes over (builds freeze it in place).

    Args:
        sam: the backbone.
        vggish: the audio encoder; None where every batch carries its audio embedding.
        spatial_conv: convolutions of the image adapter, ``dense`` or ``depthwise``; None leaves
            the image adapter out (Table 7).
        recurrence: reading of eq. 2, ``literal`` or ``chained``; None leaves the audio adapter out.
        prompt_source: the sparse token reads the ``sum`` of the terms (eq. 2) or the ``last``
            (Fig. 1); None adds no token.
        hidden_dim: width inside the audio MLPs; None for D / 4.
        mlp_layers: linear layers of the audio MLPs, 2 or 3 (Table 9).
        iou_weight: lambda, the weight of soft IoU in the loss.
        train_image_encoder: train the backbone's encoder too.
        seed: of the new weights.

    Raises:
        ConfigError: an unknown value, or switches that leave audio without effect.
    """
    _check_switches(recurrence, prompt_source)
    with seeded(seed):
        image_adapters = audio_adapters = None
        if spatial_conv is not None:
            blocks = (ImageAdapter(sam.dim, spatial_conv) for _ in range(sam.depth))
            image_adapters = nn.ModuleList(blocks)
        if recurrence is not None:
            audio_adapters = ResidualAudioAdapters(
                sam.dim,
                sam.depth,
                hidden_dim=hidden_dim or sam.dim // 4,
                mlp_layers=mlp_layers,
                recurrence=recurrence,
                audio_dim=EMBEDDING_DIM,
            )
        model = Save(
            sam,
            vggish,
            image_adapters=image_adapters,
            audio_adapters=audio_adapters,
            prompt_source=prompt_source,
            iou_weight=iou_weight,
        )
    own = [m for m in (model.image_adapters, model.audio_adapters, model.prompt) if m is not None]
    extra = [sam.image_encoder] if train_image_encoder else []
    train_only(model, [*own, *sam.decoder_parts(), *extra])
    return model


def _check_switches(recurrence: str | None, prompt_source: str | None) -> None:
    """Check that the prompt source is known and that audio has an effect."""
    if prompt_source not in ("sum", "last", None):
        fix = "Set prompt_source to one of them."
        raise ConfigError("SAVE", "prompt_source sum, last or null", repr(prompt_source), fix)
    if recurrence is None and prompt_source is None:
        fix = "Set recurrence to literal or prompt_source to sum."
        raise ConfigError("SAVE", "an audio adapter or a prompt", "neither", fix)
