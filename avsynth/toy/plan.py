"""How much of everything a toy world holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """The seed and the size of a world; the counts follow from them."""

    seed: int
    scale: float

    def count(self, at_scale_one: int, at_least: int = 1) -> int:
        """Return a count at this scale, never below ``at_least``."""
        return max(at_least, round(at_scale_one * self.scale))
