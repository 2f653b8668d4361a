"""ST-BAVA: audio and image embedding attend to each other in space and time before the decoder.

Extending Segment Anything Model into Auditory and Temporal Dimensions for Audio-Visual
Segmentation (Seon et al., https://arxiv.org/abs/2406.06163) and its released code.

Frozen: image encoder, prompt encoder, VGGish. Trained: L blocks of 1,056,768 and a linear layer
128 -> 256 (L = 5: 5,316,864; L = 7: 7,430,400), SAMA-AVS's audio adapters (ViT-H 2,770,176) and
the mask decoder (4,058,340, of which 3,785,920 get a gradient). The image embedding may come from
a cache when ``num_adapters`` is 0.

Differs from the paper in: any number of frames per clip, not five. Audio to visual attention with
a single token as key has a softmax over one entry, so step 3 is a linear layer, as in the
released code. Table 3's toggles mean: without temporal or spatial attention its steps are
left out; without bidirectional attention the audio is not updated (steps 2 and 3). The decoder's
heads that no loss reaches are frozen. ``train_image_encoder`` is added here, for a backbone
without pretrained weights.

Shape letters: B clips, T frames of a clip, P = h * w positions, C channels.
"""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from avsynth.loading.batch import Batch, Prediction
from avsynth.models.backbones.sam import Sam
from avsynth.models.backbones.vggish import EMBEDDING_DIM, Vggish, audio_embedding
from avsynth.models.parts.adapters import AudioAdapters, mlp
from avsynth.models.parts.init import seeded
from avsynth.models.parts.losses import bce, target
from avsynth.models.parts.sam_model import SamModel
from avsynth.models.parts.trainable import train_only
from avsynth.runtime.errors import ConfigError


class Block(nn.Module):
    """One of the L blocks; both attentions serve both directions.

    Args:
        dim: C.
        heads: attention heads.
        spatial: attend over positions.
        temporal: attend over frames.
        bidirectional: update the audio from the image too.
    """

    def __init__(self, dim: int, heads: int, *, spatial: bool, temporal: bool, bidirectional: bool):
        super().__init__()
        steps = [name for name, on in (("temporal", temporal), ("spatial", spatial)) if on]
        self.attention = nn.ModuleDict(
            {s: nn.MultiheadAttention(dim, heads, dropout=0.1, batch_first=True) for s in steps}
        )
        self.bidirectional = bidirectional
        mlps = ("audio", "visual", "audio_out", "visual_out")
        self.mlp = nn.ModuleDict({name: mlp((dim, dim, dim), nn.GELU) for name in mlps})
        sides = ("audio", "visual") if bidirectional else ("visual",)
        norms = [*mlps, *(f"{side}_{step}" for side in sides for step in steps)]
        self.norm = nn.ModuleDict({name: nn.LayerNorm(dim) for name in norms})

    def forward(
        self, a_BTC: Tensor, v_BTPC: Tensor, pe_a: Tensor, pe_v: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update audio ``[B, T, C]`` and image ``[B, T, P, C]`` (steps 1 to 7)."""
        a_BTC = self._mlp("audio", a_BTC)
        v_BTPC = self._mlp("visual", v_BTPC)
        if self.bidirectional:
            for step in self.attention:
                a_BTPC = a_BTC[:, :, None]
                found = self._attend(step, v_BTPC + pe_v, a_BTPC + pe_a[:, :, None], a_BTPC)
                a_BTC = self.norm[f"audio_{step}"](a_BTC + found.mean(dim=2))
        a_BTC = self._mlp("audio_out", a_BTC)
        query = (a_BTC + pe_a)[:, :, None]
        for step in self.attention:
            found = self._attend(step, query, v_BTPC + pe_v, v_BTPC)
            v_BTPC = self.norm[f"visual_{step}"](v_BTPC + found)
        return a_BTC, self._mlp("visual_out", v_BTPC)

    def _mlp(self, name: str, x: Tensor) -> Tensor:
        return self.norm[name](x + self.mlp[name](x))

    def _attend(self, step: str, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend along T (``temporal``) or P (``spatial``); a P of one means all positions.

        Args:
            step: ``temporal`` or ``spatial``.
            query: ``[B, T, P or 1, C]``; key and value alike.
            key: compared with the query.
            value: averaged by the weights.

        Returns:
            ``[B, T, P or 1, C]``.
        """
        attention = self.attention[step]
        if step == "spatial":
            flat = (t.flatten(0, 1) for t in (query, key, value))
            return attention(*flat, need_weights=False)[0].unflatten(0, query.shape[:2])
        P = max(query.shape[2], key.shape[2])
        B, T, _, C = query.shape
        flat = (
            t.expand(-1, -1, P, -1).transpose(1, 2).reshape(B * P, T, C)
            for t in (query, key, value)
        )
        out = attention(*flat, need_weights=False)[0]
        return out.reshape(B, P, T, C).transpose(1, 2)


class StBava(SamModel):
    """SAM with spatio-temporal bidirectional attention; see `build_st_bava`."""

    name = "st_bava"
    needs_whole_clips = True

    def __init__(
        self, sam: Sam, vggish: Vggish | None, adapters: AudioAdapters | None, blocks: list[Block]
    ):
        super().__init__(sam, vggish)
        self.adapters = adapters
        self.project = nn.Linear(EMBEDDING_DIM, sam.out_dim)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, batch: Batch) -> Prediction:
        """Segment the sounding objects in every frame."""
        audio = audio_embedding(self.audio_encoder, batch)
        tokens = None if self.adapters is None else self.adapters(audio)
        embedding = self.sam.encode(batch, tokens)
        token, dense = self._fuse(audio, embedding, batch.num_frames)
        logits, _ = self.sam.decode(embedding, token, dense, multimask=True)
        return Prediction(self.sam.to_frame(logits.sum(dim=1), batch.frame_size))

    def _fuse(self, audio: Tensor, embedding: Tensor, num_frames: int) -> tuple[Tensor, Tensor]:
        """Return the audio twice as tokens ``[N, 2, C]`` and the image as dense prompt."""
        if num_frames < 1 or len(audio) % num_frames:
            raise ConfigError(
                "ST-BAVA",
                f"whole clips of {num_frames} frames",
                f"a batch of {len(audio)} frames",
                "Keep clips whole: the batch size must be a multiple of num_frames.",
            )
        first = F.normalize(self.project(audio), dim=-1).unflatten(0, (-1, num_frames))
        updated = first
        visual = embedding.flatten(2).transpose(1, 2).unflatten(0, (-1, num_frames))
        pe = self.sam.dense_pe().flatten(2).transpose(1, 2)
        for block in self.blocks:
            updated, visual = block(updated, visual, first, pe)
        token = (updated + first).flatten(0, 1)[:, None].expand(-1, 2, -1)
        return token, visual.flatten(0, 1).transpose(1, 2).unflatten(2, embedding.shape[2:])

    def loss(self, batch: Batch) -> Tensor:
        """Return cross-entropy."""
        return bce(self(batch).logits, target(batch))


def build_st_bava(  # noqa: PLR0913 - flat parameters, one for each choice
    sam: Sam,
    vggish: Vggish | None = None,
    *,
    num_blocks: int = 5,
    spatial: bool = True,
    temporal: bool = True,
    bidirectional: bool = True,
    num_adapters: int = 32,
    hidden_dim: int = 512,
    train_mask_decoder: bool = True,
    train_image_encoder: bool = False,
    seed: int = 0,
) -> StBava:
    """Build ST-BAVA on a backbone, which it takes over (builds freeze it in place).

    Args:
        sam: the backbone.
        vggish: the audio encoder; None where every batch carries its audio embedding.
        num_blocks: L, 5 in the paper for S4, 7 for MS3.
        spatial: attend over positions (Table 3).
        temporal: attend over the frames of a clip (Table 3).
        bidirectional: update the audio from the image too (Table 3).
        num_adapters: SAMA-AVS adapters; a number above the depth means all, 0 none (Table 3).
        hidden_dim: width inside the adapters.
        train_mask_decoder: train SAM's mask decoder.
        train_image_encoder: train the backbone's encoder too.
        seed: of the new weights.
    """
    with seeded(seed):
        blocks = [
            Block(
                sam.out_dim,
                sam.heads,
                spatial=spatial,
                temporal=temporal,
                bidirectional=bidirectional,
            )
            for _ in range(num_blocks)
        ]
        number = min(num_adapters, sam.depth)
        adapters = None
        if number:
            adapters = AudioAdapters(sam.dim, sam.depth, number, hidden_dim, EMBEDDING_DIM)
        model = StBava(sam, vggish, adapters, blocks)
    parts: list[nn.Module] = [model.project, model.blocks]
    parts += [adapters] if adapters is not None else []
    parts += sam.decoder_parts(multimask=True) if train_mask_decoder else []
    parts += [sam.image_encoder] if train_image_encoder else []
    train_only(model, parts)
    return model
