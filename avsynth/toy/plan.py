"""`Plan`: the seed and the counts of a toy world."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """The seed and the scale of a world, which determine all counts."""

    seed: int
    scale: float

    def count(self, at_scale_one: int, at_least: int = 1) -> int:
        """Return a count at this scale, never below ``at_least``."""
        return max(at_least, round(at_scale_one * self.scale))
