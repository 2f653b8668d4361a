"""`Project`: the three things that every stage and command works with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

# Imported for types alone: the command line opens a project, and --help must load nothing heavy.
if TYPE_CHECKING:
    from avsynth.core.params.load import Params
    from avsynth.core.paths import Layout
    from avsynth.runtime.options import Runtime


@dataclass(frozen=True, slots=True)
class Project:
    """Parameters, paths, and how to run."""

    params: "Params"
    layout: "Layout"
    runtime: "Runtime"
