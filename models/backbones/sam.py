"""Segment Anything (Kirillov et al., https://arxiv.org/abs/2304.02643) at any input size.

The modules, names and weights are those of ``segment_anything``; the official checkpoints load
into any input size that is a multiple of the patch. `Sam` remains usable with the package's own
``SamPredictor`` and ``SamAutomaticMaskGenerator``.

Parameters at 1024 px: vit_b 93,735,472; vit_l 312,342,832; vit_h 641,090,608. ``tiny`` is added
here: small enough to train from random weights on a CPU, for tests and the toy world.

Differs from the paper in: frames are resized to a square instead of padded, as in every system
built on SAM here; position tables are interpolated for other sizes than 1024 px.
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from segment_anything.modeling import Sam as OfficialSam
from torch import Tensor, nn

from avsynth.loading.batch import Batch
from avsynth.models.backbones.architectures import ARCHITECTURES, assemble, recognise
from avsynth.models.backbones.encoder import ImageEncoder
from avsynth.models.backbones.weights import check_weights, read_weights
from avsynth.models.parts.init import seeded
from avsynth.runtime.errors import CheckpointError, ConfigError, suggest

EmbeddingCache = Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]
"""``cache(image, encode)`` returns the embeddings of images uint8 ``[N, 3, H, W]``, found or
computed with ``encode``; e.g. an `avsynth.training.image_embedding_cache.ImageEmbeddingCache`."""


class Sam(OfficialSam):
    """SAM with a fast encoder, decoding of whole batches, and logits at the frame's size."""

    architecture: str
    """The key in `ARCHITECTURES`."""
    embedding_cache: EmbeddingCache | None = None
    """Used while the encoder is frozen and nothing is added to its blocks; see `build_sam`."""

    @property
    def input_size(self) -> int:
        """Side of the square input in pixels."""
        return self.image_encoder.img_size

    @property
    def dim(self) -> int:
        """Width of the encoder's tokens."""
        return ARCHITECTURES[self.architecture].dim

    @property
    def depth(self) -> int:
        """Number of blocks of the encoder."""
        return len(self.image_encoder.blocks)

    @property
    def heads(self) -> int:
        """Heads of the mask decoder's attention."""
        return ARCHITECTURES[self.architecture].decoder_heads

    @property
    def out_dim(self) -> int:
        """Width of image embedding and prompts (256 in every official SAM)."""
        return self.prompt_encoder.embed_dim

    def encode(
        self,
        batch: Batch,
        tokens: list[Tensor | None] | None = None,
        adapters: list[nn.Module] | None = None,
    ) -> Tensor:
        """Return the image embedding ``[N, out_dim, h, w]`` of a batch.

        Args:
            batch: frames at this SAM's input size.
            tokens: see `ImageEncoder.forward`.
            adapters: see `ImageEncoder.forward`.

        Raises:
            ConfigError: the frames have another size.
        """
        if batch.image.shape[-2:] != (self.input_size, self.input_size):
            raise ConfigError(
                f"SAM {self.architecture}",
                f"frames of {self.input_size} x {self.input_size} px",
                "{} x {} px".format(*batch.image.shape[-2:]),
                "Set the data's and the model's input_size to the same number.",
            )

        def compute(image: Tensor) -> Tensor:
            pixels = (image.float() - self.pixel_mean) / self.pixel_std
            return self.image_encoder(pixels, tokens or (), adapters or ())

        trains = any(p.requires_grad for p in self.image_encoder.parameters())
        if self.embedding_cache is None or tokens or adapters or trains:
            return compute(batch.image)
        return self.embedding_cache(batch.image, compute)

    def dense_pe(self) -> Tensor:
        """Return the positional encoding of the grid, ``[1, out_dim, h, w]``, in full precision.

        Under autocast its sine would be taken of an angle rounded to 8 bits.
        """
        with torch.autocast(self.pixel_mean.device.type, enabled=False):
            return self.prompt_encoder.get_dense_pe()

    def no_mask(self) -> Tensor:
        """Return the dense prompt that means "no mask", ``[1, out_dim, 1, 1]``."""
        return self.prompt_encoder.no_mask_embed.weight[..., None, None]

    def decode(
        self,
        embedding: Tensor,
        sparse: Tensor | None = None,
        dense: Tensor | None = None,
        *,
        multimask: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Decode one prompt for each image.

        The official decoder takes one image and many prompts. Here the image embeddings are
        passed as part of the dense prompt, which it only adds to the image embedding.

        Args:
            embedding: ``[N, out_dim, h, w]``.
            sparse: ``[N, P, out_dim]`` prompt tokens; None for none.
            dense: broadcastable to the embedding; None for `no_mask`.
            multimask: return three masks instead of one.

        Returns:
            logits ``[N, M, 4h, 4w]`` and predicted IoU ``[N, M]``, M = 3 or 1.
        """
        if sparse is None:
            sparse = embedding.new_zeros(len(embedding), 0, self.out_dim)
        return self.mask_decoder(
            image_embeddings=embedding.new_zeros(1, 1, 1, 1),
            image_pe=self.dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=embedding + (self.no_mask() if dense is None else dense),
            multimask_output=multimask,
        )

    def to_frame(self, logits: Tensor, frame_size: tuple[int, int]) -> Tensor:
        """Resize logits ``[N, h, w]`` to the input's, then the frame's size, bilinearly."""
        logits = logits[:, None].float()
        for size in ((self.input_size, self.input_size), frame_size):
            if logits.shape[-2:] != size:
                logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
        return logits[:, 0]

    def decoder_parts(self, *, multimask: bool = False) -> list[nn.Module]:
        """Return the parts of the mask decoder that a mask loss reaches.

        The IoU head and the heads of the masks that are not output get no gradient; published
        code counts them as trained but does not change them either.
        """
        decoder = self.mask_decoder
        heads = list(decoder.output_hypernetworks_mlps)
        return [
            decoder.transformer,
            decoder.iou_token,
            decoder.mask_tokens,
            decoder.output_upscaling,
            *(heads[1:] if multimask else heads[:1]),
        ]


def build_sam(
    architecture: str,
    input_size: int,
    checkpoint: Path | None = None,
    *,
    seed: int = 0,
    open_cache: Callable[[ImageEncoder], EmbeddingCache] | None = None,
) -> Sam:
    """Build a SAM, with official weights or (no checkpoint) seeded random ones.

    Args:
        architecture: a key of `ARCHITECTURES`.
        input_size: side of the square input in pixels, a multiple of the patch (16; tiny 8).
        checkpoint: ``sam_vit_{b,l,h}_*.pth``, read with ``weights_only=True``.
        seed: of the random weights; the global random state is left as it was.
        open_cache: returns the cache of the encoder's outputs, given the encoder with its weights;
            None for no cache.

    Raises:
        ConfigError: unknown architecture, or a size that is not a multiple of the patch.
        CheckpointError: the file is damaged or of another network.
    """
    numbers = ARCHITECTURES.get(architecture)
    if numbers is None:
        fix = suggest(architecture, ARCHITECTURES)
        raise ConfigError("SAM", "a known architecture", repr(architecture), fix)
    if input_size <= 0 or input_size % numbers.patch:
        near = max(numbers.patch, round(input_size / numbers.patch) * numbers.patch)
        expected = f"an input size that is a multiple of {numbers.patch}"
        raise ConfigError(
            f"SAM {architecture}", expected, str(input_size), f"Set input_size to {near}."
        )
    if checkpoint is not None:
        with torch.device("meta"):
            sam = Sam(**assemble(numbers, input_size))
        sam.architecture = architecture
        sam.load_state_dict(_fitted(sam, checkpoint), assign=True)
        sam.pixel_mean, sam.pixel_std = (b.view(-1, 1, 1) for b in _PIXELS)
    else:
        with seeded(seed):
            sam = Sam(**assemble(numbers, input_size))
            _spread_positions(sam.image_encoder)
        sam.architecture = architecture
    if open_cache is not None:
        sam.embedding_cache = open_cache(sam.image_encoder)
    return sam.eval()


_PIXELS = (torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375]))
"""ImageNet mean and standard deviation of R, G, B in 0..255."""


def _spread_positions(encoder: ImageEncoder) -> None:
    """Initialise the position tables, which the official constructor leaves at zero."""
    for name, parameter in encoder.named_parameters():
        if name.endswith(("pos_embed", "rel_pos_h", "rel_pos_w")):
            nn.init.trunc_normal_(parameter, std=0.02)


def _fitted(sam: Sam, path: Path) -> dict[str, Tensor]:
    """Read a checkpoint and interpolate its position tables to this SAM's grid."""
    state = read_weights(path)
    found = recognise(state)
    if found and found != sam.architecture:
        fix = f"Set the architecture to {found}, or use the checkpoint of {sam.architecture}."
        raise CheckpointError(str(path), f"SAM {sam.architecture}", f"SAM {found}", fix)
    expected = sam.state_dict()
    for name, tensor in state.items():
        if name in expected and tensor.shape != expected[name].shape:
            state[name] = interpolate(name, tensor, expected[name])
    check_weights(str(path), state, expected, f"SAM {sam.architecture}")
    return state


def interpolate(name: str, tensor: Tensor, target: Tensor) -> Tensor:
    """Return a resized position table; other tensors are returned unchanged."""
    if name.endswith("pos_embed") and tensor.ndim == target.ndim == 4:
        grid = tensor.permute(0, 3, 1, 2).float()
        size = target.shape[1:3]
        grid = F.interpolate(grid, size, mode="bilinear", align_corners=False)
        return grid.permute(0, 2, 3, 1).contiguous()
    if name.endswith(("rel_pos_h", "rel_pos_w")) and tensor.ndim == 2:
        table = F.interpolate(tensor.T[None].float(), len(target), mode="linear")
        return table[0].T.contiguous()
    return tensor
