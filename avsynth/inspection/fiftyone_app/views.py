"""The score fields, sidebar groups and saved views of a dataset."""

from typing import TYPE_CHECKING, Any

from avsynth.formats.render import GROUND_TRUTH, PREDICTION
from avsynth.inspection.fiftyone_app.datasets import GROUND_TRUTH_FIELD
from avsynth.inspection.fiftyone_app.samples import Selection
from avsynth.inspection.fiftyone_app.scores import RunScores, disagreements, gaps

if TYPE_CHECKING:
    import fiftyone

TINY_FRAC = 0.01
"""A mask below this share of its image is tiny."""
GAP, APART, BETWEEN = "gap_synthetic_real", "disagreement", "disagreement_between"
_LIMIT = 200
_PREDICTED = 255
_GROUPS = {
    "sample": ("reason", "unreadable", "key", "split", "category", "label"),
    "measures": ("area_frac", "loudness_db", "start_s", "duration_s"),
    "sources": (
        "item",
        "stage",
        "source",
        "source_id",
        "mask_source",
        "mask_id",
        "image_id",
        "clip_key",
        "clip_source",
        "clip_id",
        "second",
    ),
    "licences": ("licence", "url", "image_licence", "audio_licence", "image_url", "audio_url"),
}


def add_scores(dataset: "fiftyone.Dataset", runs: list[RunScores]) -> None:
    """Write each run's IoU, F and stored predictions to its images.

    Fields of runs without score rows are removed.
    """
    import fiftyone

    numbers: dict[str, dict[str, float]] = {GAP: gaps(runs)}
    numbers[APART], between = disagreements(runs)
    masks = {}
    for run in runs:
        numbers[f"iou_{run.name}"] = run.iou
        numbers[f"f_{run.name}"] = {key: f for key, f in run.fscore.items() if f == f}
        masks[f"predicted_{run.name}"] = {
            key: fiftyone.Segmentation(mask_path=path) for key, path in run.predictions.items()
        }
    known = {field: values for field, values in numbers.items() if values}
    _put(dataset, known, fiftyone.FloatField)
    _put(dataset, {BETWEEN: between} if between else {}, fiftyone.StringField)
    layers = {field: values for field, values in masks.items() if values}
    kind = fiftyone.EmbeddedDocumentField
    _put(dataset, layers, kind, embedded_doc_type=fiftyone.Segmentation)
    dataset.default_mask_targets = {_PREDICTED: "predicted"}
    dataset.save()
    current = {BETWEEN, *known, *layers}
    dataset.delete_sample_fields(
        [name for name in dataset.get_field_schema() if _is_score(name) and name not in current]
    )


def _put(dataset: "fiftyone.Dataset", fields: dict[str, Any], kind: Any, **options: Any) -> None:
    """Set fields of images by their keys; new fields are declared first."""
    images = dataset.select_group_slices("image")
    for field, values in fields.items():
        if not dataset.has_sample_field(field):
            dataset.add_sample_field(field, kind, **options)
        images.set_values(field, values, key_field="key")


def _is_score(field: str) -> bool:
    return field.startswith(("iou_", "f_", "predicted_")) or field in (GAP, APART, BETWEEN)


def save_views(dataset: "fiftyone.Dataset", runs: list[RunScores], quiet_db: float) -> None:
    """Save the views that a reviewer starts from.

    Args:
        dataset: of groups.
        runs: those whose fields were added.
        quiet_db: a second below this is quiet.
    """
    from fiftyone import ViewField

    masks = ViewField(f"{GROUND_TRUTH_FIELD}.detections")
    tagged = masks.filter(ViewField("tags").length() > 0)
    views = {
        "tiny masks": dataset.match(ViewField("area_frac") < TINY_FRAC).sort_by("area_frac"),
        "quiet clips": dataset.match(ViewField("loudness_db") < quiet_db).sort_by("loudness_db"),
        "tagged": dataset.match((ViewField("tags").length() > 0) | (tagged.length() > 0)),
    }
    for run in runs:
        field = f"iou_{run.name}"
        views[f"worst of {run.title}"] = _ranked(dataset, field, reverse=False)
    if dataset.has_sample_field(GAP):
        views["biggest gap synthetic-real"] = _ranked(dataset, GAP, reverse=True)
    if dataset.has_sample_field(APART):
        views["models disagree"] = _ranked(dataset, APART, reverse=True)
    for name, view in views.items():
        dataset.save_view(name, view, overwrite=True)


def save_selection(
    dataset: "fiftyone.Dataset", selection: Selection, keys: list[str]
) -> str | None:
    """Save the view of the selection; return its name, or None if it is the whole dataset."""
    from fiftyone import ViewField

    asked = {"category": selection.category, "where": selection.where, "max": selection.max}
    name = ", ".join(f"{word} {value}" for word, value in asked.items() if value is not None)
    if not name and len(keys) == dataset.count():
        return None
    name = name or "all of the shards"
    dataset.save_view(name, dataset.match(ViewField("key").is_in(keys)), overwrite=True)
    return name


def arrange_sidebar(dataset: "fiftyone.Dataset") -> None:
    """Put the fields into groups, the database's own last; colour the masks as in the reports."""
    import fiftyone

    schema = [path for path in dataset.get_field_schema() if path not in ("group", "metadata")]
    taken = {path for paths in _GROUPS.values() for path in paths}
    masks = [p for p in schema if p == GROUND_TRUTH_FIELD or p.startswith("predicted_")]
    scores = [p for p in schema if _is_score(p) and p not in masks]
    rest = [p for p in schema if p not in {"tags", *taken, *masks, *scores}]
    metadata = [p for p in dataset.get_field_schema(flat=True) if p.startswith("metadata.")]
    group = fiftyone.SidebarGroupDocument
    dataset.app_config.sidebar_groups = [
        group(name="tags", paths=[]),
        group(name="masks", paths=masks),
        *([group(name="scores", paths=scores)] if scores else []),
        *(group(name=name, paths=[p for p in paths if p in schema])
          for name, paths in _GROUPS.items()),
        group(name="other", paths=rest, expanded=False),
        group(name="metadata", paths=metadata, expanded=False),
    ]  # fmt: skip
    colours = {p: _hex(GROUND_TRUTH if p == GROUND_TRUTH_FIELD else PREDICTION) for p in masks}
    dataset.app_config.color_scheme = fiftyone.ColorScheme(
        fields=[{"path": p, "fieldColor": colour} for p, colour in colours.items()],
        default_mask_targets_colors=[{"intTarget": _PREDICTED, "color": _hex(PREDICTION)}],
    )
    dataset.save()


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _ranked(dataset: "fiftyone.Dataset", field: str, *, reverse: bool) -> "fiftyone.DatasetView":
    from fiftyone import ViewField

    return dataset.match(ViewField(field) != None).sort_by(field, reverse=reverse).limit(_LIMIT)  # noqa: E711
