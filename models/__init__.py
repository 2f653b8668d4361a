"""The six systems: SAM oracle, AP-SAM, AV-SAM, SAMA-AVS, SAVE, ST-BAVA."""

if __name__ != "avsynth.models":
    raise ImportError(f"import this package as avsynth.models, not as {__name__}")

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

from avsynth.loading.batch import AvsModel
from avsynth.runtime.torchvision_compat import ensure_importable

ensure_importable()  # segment-anything imports torchvision

_NAMES = ("sam_oracle", "ap_sam", "av_sam", "sama_avs", "save", "st_bava")


class _Builders(Mapping[str, Callable[..., AvsModel]]):
    """Imports a model's file when its builder is asked for.

    So no model's file is part of another model's code: DVC retrains the one that changed.
    """

    def __getitem__(self, name: str) -> Callable[..., AvsModel]:
        if name not in _NAMES:
            raise KeyError(name)
        build: Callable[..., AvsModel] = getattr(
            import_module(f"avsynth.models.{name}"), f"build_{name}"
        )
        return build

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


MODELS: Mapping[str, Callable[..., AvsModel]] = _Builders()
"""Name -> ``build(sam, vggish, **parameters)``; the parameters are each builder's own."""
