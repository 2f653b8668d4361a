"""Filters of masks: each returns the reason to drop a mask, or an empty text."""

from avsynth.core.params.building import MaskFilters
from avsynth.formats.mask_rle import Box

FILTER_REASONS = ("crowd", "not_exhaustive", "empty", "too_small", "too_large", "border")
"""Reasons that come from a filter or from the labelling. Every other reason means that data is
missing or damaged."""


def refuse_shape(box: Box, area_px: int, height: int, width: int, filters: MaskFilters) -> str:
    """Return the reason to drop a mask because of its pixels.

    Args:
        box: tight ``(x0, y0, x1, y1)``, ends exclusive.
        area_px: number of mask pixels.
        height: height of the image in pixels.
        width: width of the image in pixels.
        filters: the limits.

    Returns:
        Empty, or one of ``empty too_small too_large border``.
    """
    area_frac = area_px / (height * width)
    x0, y0, x1, y1 = box
    if area_px == 0:
        return "empty"
    if area_frac < filters.min_area_frac:
        return "too_small"
    if area_frac > filters.max_area_frac:
        return "too_large"
    if filters.drop_border and (x0 == 0 or y0 == 0 or x1 == width or y1 == height):
        return "border"
    return ""


def refuse_labelling(crowd: bool, exhaustive: bool, filters: MaskFilters) -> str:
    """Return the reason to drop a mask because of how its image was labelled.

    Args:
        crowd: the mask covers a group, not one instance.
        exhaustive: every instance of the category is labelled in the image.
        filters: the reasons to apply.

    Returns:
        Empty, or ``crowd`` or ``not_exhaustive``.
    """
    if crowd and filters.drop_crowd:
        return "crowd"
    if not exhaustive and filters.drop_not_exhaustive:
        return "not_exhaustive"
    return ""
