"""`SamModel`: what the six systems share as `AvsModel`s."""

from collections.abc import Sequence

from torch import nn

from avsynth.models.backbones.sam import Sam
from avsynth.models.backbones.vggish import Vggish
from avsynth.models.parts.trainable import trained_names


class SamModel(nn.Module):
    """A model on a SAM; it has the attributes of `AvsModel` and `BlockwiseModel`.

    Args:
        sam: the backbone.
        audio_encoder: None where every batch carries its audio embedding, or none is used.
    """

    name: str
    needs_waveform = False
    needs_whole_clips = False
    ground_truth_use: str | None = None

    def __init__(self, sam: Sam, audio_encoder: Vggish | None = None):
        super().__init__()
        self.sam, self.audio_encoder = sam, audio_encoder
        self.architecture, self.input_size = sam.architecture, sam.input_size

    def trainable_names(self) -> list[str]:
        """Return the names of the parameters and running statistics that training changes."""
        return trained_names(self)

    def encoder_blocks(
        self, *, checkpointing: bool = False, sharded: bool = False
    ) -> Sequence[nn.Module]:
        """Set how the image encoder runs and return its blocks; see `BlockwiseModel`."""
        encoder = self.sam.image_encoder
        encoder.checkpointing = checkpointing
        if sharded:
            encoder.rounded_once = False
            self.sam.embedding_cache = None
        return list(encoder.blocks)
