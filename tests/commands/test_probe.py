"""The probe command, from the list on disk to the plan that uses its result."""

from pathlib import Path

import pytest
from rich.console import Console

from avsynth.commands.plan import plan
from avsynth.commands.probe import probe, probe_table
from avsynth.core.params.load import Params, load_params
from avsynth.core.paths import Layout
from avsynth.runtime.errors import ConfigError
from avsynth.runtime.options import Runtime
from tests.helpers.local_host import Host, RunningHost


def test_the_plan_uses_the_result_of_a_probe(toy_project: Path) -> None:
    layout, runtime = Layout(toy_project), Runtime(workers=2, quiet=True)
    with RunningHost(Host()) as host:
        raw = load_params(toy_project).model_dump()
        raw["fetch"] |= {"mirrors": {"https://www.youtube.com": host.url}}
        raw["fetch"]["youtube"] |= {"accept_terms": True, "interval_s": 0.0}
        params = Params.model_validate(raw)
        found = probe("vggsound", params, layout, runtime, n=6)
    assert found.counts == {"gone": 6}
    assert found.live == 0.0
    assert found.low == pytest.approx(0.0, abs=1e-12)
    assert found.high == pytest.approx(0.3903, abs=1e-4)
    console = Console(width=100)
    with console.capture() as shown:
        console.print(probe_table("vggsound", found))
    assert "0.0% to 39.0%" in " ".join(shown.get().split())
    (clips,) = (n for n in plan(params, layout, runtime).needs if n.kind == "clips")
    assert clips.expected_loss == clips.to_download > 0


def test_other_sources_cannot_be_probed(toy_project: Path) -> None:
    with pytest.raises(ConfigError, match="vggsound"):
        probe("lvis", load_params(toy_project), Layout(toy_project), Runtime(), n=5)
