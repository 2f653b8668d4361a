"""The plan before anything is there, with the lists there, and with everything there."""

from pathlib import Path

import pytest
from rich.console import Console

from avsynth.building.new_project import init_project
from avsynth.commands.plan import Need, plan, plan_table
from avsynth.core.params.load import Params, load_params
from avsynth.core.paths import Layout
from avsynth.download.items import Item, Outcome
from avsynth.download.ledger import Ledger
from avsynth.runtime.options import Runtime

QUIET = Runtime(quiet=True)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    init_project(tmp_path / "p", "paper")
    return Layout(tmp_path / "p")


def needs_of(params: Params, layout: Layout, sample: int | None = None) -> dict[str, Need]:
    return {f"{n.source} {n.kind}": n for n in plan(params, layout, QUIET, sample).needs}


def with_have(params: Params, *folders: Path) -> Params:
    fetching = params.fetch.model_copy(update={"have": tuple(map(str, folders))})
    return params.model_copy(update={"fetch": fetching})


def test_before_anything_is_there_the_figures_are_estimates(layout: Layout) -> None:
    needs = needs_of(load_params(layout.root), layout)
    assert list(needs) == [
        "lvis annotations", "lvis pictures", "openimages annotations", "openimages masks",
        "openimages pictures", "vggsound annotations", "vggsound clips", "checkpoints weights",
    ]  # fmt: skip
    assert not needs["lvis pictures"].exact
    # 46 categories: tens of thousands of pictures and clips, not hundreds, not millions.
    assert 10_000 < needs["lvis pictures"].to_bring < 100_000
    assert 20_000 < needs["vggsound clips"].to_bring < 100_000
    clips = needs["vggsound clips"]
    assert clips.expected_loss == round(0.2 * clips.to_bring)
    assert clips.hours == pytest.approx(clips.to_bring * 3.0 / 3600)
    assert needs["checkpoints weights"].wanted == 3
    assert "off until fetch.youtube.accept_terms" in clips.how
    assert not layout.raw.exists(), "a plan makes nothing"


def test_fewer_categories_and_a_sample_need_less(layout: Layout) -> None:
    params = load_params(layout.root)
    whole = needs_of(params, layout)["vggsound clips"].to_bring
    few = params.model_copy(
        update={"categories": params.categories.model_copy(update={"choose": 5})}
    )
    assert 0 < needs_of(few, layout)["vggsound clips"].to_bring < whole / 2
    sampled = needs_of(params, layout, sample=10)["vggsound clips"]
    assert sampled.to_bring == 46 * 10


def test_lists_on_disk_make_it_exact(layout: Layout, toy_world: Path) -> None:
    params = load_params(layout.root)
    raw = params.model_dump()
    raw["masks"]["sources"]["lvis"]["root"] = str(toy_world / "lvis")
    raw["masks"]["sources"]["openimages"]["root"] = str(toy_world / "openimages")
    raw["audio"]["sources"]["vggsound"]["root"] = str(toy_world / "vggsound")
    needs = needs_of(Params.model_validate(raw), layout)
    pictures = needs["lvis pictures"]
    assert pictures.exact
    assert pictures.there == 0
    assert pictures.gigabytes == pytest.approx(pictures.wanted * 163_000 / 1e9)
    masks = needs["openimages masks"]
    assert masks.wanted == masks.there > 10
    clips = needs["vggsound clips"]
    assert 0 < clips.to_bring < 10 < clips.there, "the toy world lacks some clips, as disks do"


def test_what_lies_in_a_folder_of_ones_own_counts_as_there(layout: Layout, toy_world: Path) -> None:
    params = with_have(load_params(layout.root), toy_world)
    lists = needs_of(params, layout)["lvis annotations"]
    assert (lists.wanted, lists.there, lists.to_bring, lists.gigabytes) == (2, 2, 0, 0.0)


def test_what_is_known_to_be_lost_is_not_brought_again(layout: Layout, toy_world: Path) -> None:
    raw = load_params(layout.root).model_dump()
    raw["masks"]["sources"]["lvis"] |= {"root": str(toy_world / "lvis")}
    params = Params.model_validate(raw)
    before = needs_of(params, layout)["lvis pictures"]
    images = layout.resolve(raw["masks"]["sources"]["lvis"]["images"])
    from avsynth.download.requirements import lvis, wish

    _, pictures = lvis(wish(params, layout, QUIET))
    with Ledger(images, "pictures") as ledger:
        for item, status in zip(pictures.items, ("gone", "geo", "transient"), strict=False):
            ledger.add(item, Outcome(status))  # type: ignore[arg-type]
    after = needs_of(params, layout)["lvis pictures"]
    assert (after.lost, after.to_bring) == (2, before.to_bring - 2)
    assert isinstance(pictures.items[0], Item)


def test_the_table_says_what_does_not_fit(layout: Layout) -> None:
    made = plan(load_params(layout.root), layout, QUIET)
    tight = type(made)(made.needs, made.rate_mb_s, made.gigabytes)
    console = Console(width=160, record=True, quiet=True)
    console.print(plan_table(tight))
    with console.capture() as shown:
        console.quiet = False
        console.print(plan_table(tight))
    assert "DOES NOT FIT" in shown.get()
    assert "nothing was downloaded" in shown.get()
