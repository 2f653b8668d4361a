"""`Architecture`: the sizes of SAM, and the official modules for each."""

from dataclasses import dataclass
from functools import partial

from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn

from avsynth.models.backbones.encoder import ImageEncoder


@dataclass(frozen=True, slots=True)
class Architecture:
    """The dimensions of a SAM."""

    dim: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    window: int = 14
    patch: int = 16
    out_dim: int = 256
    decoder_heads: int = 8
    decoder_mlp: int = 2048


ARCHITECTURES = {
    "tiny": Architecture(64, 3, 4, (1,), 8, 8, out_dim=64, decoder_heads=4, decoder_mlp=128),
    "vit_b": Architecture(768, 12, 12, (2, 5, 8, 11)),
    "vit_l": Architecture(1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": Architecture(1280, 32, 16, (7, 15, 23, 31)),
}


def assemble(numbers: Architecture, input_size: int) -> dict[str, nn.Module]:
    """Build the three parts of a SAM for one input size, by their name in ``Sam``."""
    grid = input_size // numbers.patch
    return {
        "image_encoder": ImageEncoder(
            img_size=input_size,
            patch_size=numbers.patch,
            embed_dim=numbers.dim,
            depth=numbers.depth,
            num_heads=numbers.heads,
            out_chans=numbers.out_dim,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=numbers.window,
            global_attn_indexes=numbers.global_blocks,
        ),
        "prompt_encoder": PromptEncoder(
            embed_dim=numbers.out_dim,
            image_embedding_size=(grid, grid),
            input_image_size=(input_size, input_size),
            mask_in_chans=16,
        ),
        "mask_decoder": MaskDecoder(
            transformer_dim=numbers.out_dim,
            transformer=TwoWayTransformer(
                depth=2,
                embedding_dim=numbers.out_dim,
                num_heads=numbers.decoder_heads,
                mlp_dim=numbers.decoder_mlp,
            ),
            iou_head_hidden_dim=numbers.out_dim,
        ),
    }


def recognise(state: dict[str, Tensor]) -> str | None:
    """Return the architecture of a state dictionary, recognised by width and depth."""
    position = state.get("image_encoder.pos_embed")
    blocks = {n.split(".")[2] for n in state if n.startswith("image_encoder.blocks.")}
    for name, numbers in ARCHITECTURES.items():
        if position is not None and (position.shape[-1], len(blocks)) == (
            numbers.dim,
            numbers.depth,
        ):
            return name
    return None
