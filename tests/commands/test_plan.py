"""The plan without data, with the annotation lists, and with all data on disk."""

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


def test_without_lists_the_counts_are_estimates(layout: Layout) -> None:
    needs = needs_of(load_params(layout.root), layout)
    assert list(needs) == [
        "lvis annotations", "lvis images", "openimages annotations", "openimages masks",
        "openimages images", "vggsound annotations", "vggsound clips", "checkpoints weights",
    ]  # fmt: skip
    assert not needs["lvis images"].exact
    # 46 categories: tens of thousands of images and clips, not hundreds, not millions.
    assert 10_000 < needs["lvis images"].to_download < 100_000
    assert 20_000 < needs["vggsound clips"].to_download < 100_000
    clips = needs["vggsound clips"]
    assert clips.expected_loss == round(0.2 * clips.to_download)
    assert clips.hours == pytest.approx(clips.to_download * 3.0 / 3600)
    assert needs["checkpoints weights"].needed == 3
    assert "off until fetch.youtube.accept_terms" in clips.method
    assert not layout.raw.exists(), "a plan writes nothing"


def test_fewer_categories_and_a_sample_need_less(layout: Layout) -> None:
    params = load_params(layout.root)
    whole = needs_of(params, layout)["vggsound clips"].to_download
    few = params.model_copy(
        update={"categories": params.categories.model_copy(update={"choose": 5})}
    )
    assert 0 < needs_of(few, layout)["vggsound clips"].to_download < whole / 2
    sampled = needs_of(params, layout, sample=10)["vggsound clips"]
    assert sampled.to_download == 46 * 10


def test_lists_on_disk_make_the_counts_exact(layout: Layout, toy_world: Path) -> None:
    params = load_params(layout.root)
    raw = params.model_dump()
    raw["masks"]["sources"]["lvis"]["root"] = str(toy_world / "lvis")
    raw["masks"]["sources"]["openimages"]["root"] = str(toy_world / "openimages")
    raw["audio"]["sources"]["vggsound"]["root"] = str(toy_world / "vggsound")
    needs = needs_of(Params.model_validate(raw), layout)
    images = needs["lvis images"]
    assert images.exact
    assert images.present == 0
    assert images.gigabytes == pytest.approx(images.needed * 163_000 / 1e9)
    masks = needs["openimages masks"]
    assert masks.needed == masks.present > 10
    clips = needs["vggsound clips"]
    assert 0 < clips.to_download < 10 < clips.present, "some clips of the toy world are missing"


def test_files_in_a_users_folder_count_as_present(layout: Layout, toy_world: Path) -> None:
    params = with_have(load_params(layout.root), toy_world)
    lists = needs_of(params, layout)["lvis annotations"]
    assert (lists.needed, lists.present, lists.to_download, lists.gigabytes) == (2, 2, 0, 0.0)


def test_unavailable_items_are_not_planned_again(layout: Layout, toy_world: Path) -> None:
    raw = load_params(layout.root).model_dump()
    raw["masks"]["sources"]["lvis"] |= {"root": str(toy_world / "lvis")}
    params = Params.model_validate(raw)
    before = needs_of(params, layout)["lvis images"]
    images = layout.resolve(raw["masks"]["sources"]["lvis"]["images"])
    from avsynth.download.requirements import lvis_batches, make_request

    _, batch = lvis_batches(make_request(params, layout, QUIET))
    with Ledger(images, "images") as ledger:
        for item, status in zip(batch.items, ("gone", "geo", "transient"), strict=False):
            ledger.add(item, Outcome(status))  # type: ignore[arg-type]
    after = needs_of(params, layout)["lvis images"]
    assert (after.unavailable, after.to_download) == (2, before.to_download - 2)
    assert isinstance(batch.items[0], Item)


def test_the_table_shows_that_the_plan_does_not_fit(layout: Layout) -> None:
    made = plan(load_params(layout.root), layout, QUIET)
    tight = type(made)(made.needs, made.rate_mb_s, made.gigabytes)
    console = Console(width=160, record=True, quiet=True)
    console.print(plan_table(tight))
    with console.capture() as shown:
        console.quiet = False
        console.print(plan_table(tight))
    assert "DOES NOT FIT" in shown.get()
    assert "nothing was downloaded" in shown.get()
