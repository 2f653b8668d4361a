"""The six systems: SAM oracle, AP-SAM, AV-SAM, SAMA-AVS, SAVE, ST-BAVA."""

if __name__ != "avsynth.models":
    raise ImportError(f"import this package as avsynth.models, not as {__name__}")

from collections.abc import Callable

from avsynth.loading.batch import AvsModel
from avsynth.runtime.torchvision_compat import ensure_importable

ensure_importable()  # segment-anything imports torchvision

from avsynth.models.ap_sam import build_ap_sam  # noqa: E402
from avsynth.models.av_sam import build_av_sam  # noqa: E402
from avsynth.models.sam_oracle import build_sam_oracle  # noqa: E402
from avsynth.models.sama_avs import build_sama_avs  # noqa: E402
from avsynth.models.save import build_save  # noqa: E402
from avsynth.models.st_bava import build_st_bava  # noqa: E402

MODELS: dict[str, Callable[..., AvsModel]] = {
    "sam_oracle": build_sam_oracle,
    "ap_sam": build_ap_sam,
    "av_sam": build_av_sam,
    "sama_avs": build_sama_avs,
    "save": build_save,
    "st_bava": build_st_bava,
}
"""Name -> ``build(sam, vggish, **parameters)``; the parameters are those of each builder."""
