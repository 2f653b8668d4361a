"""Human reviews: masks and clips to exclude, with the reasons.

``reviews.csv`` is edited by hand or by ``avsynth inspect pull``, and belongs under version control.
The stage ``match`` drops the listed items, with the verdict as the reason (``review_bad_mask``).
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

from avsynth.core.files import atomic_file
from avsynth.core.lists import fold, parse_columns, read_text
from avsynth.runtime.errors import DataError

VERDICTS = {
    "bad mask": "mask",
    "bad image": "mask",
    "wrong category": "mask",
    "bad sound": "clip",
    "wrong sound": "clip",
}
"""Tag -> the item that it rejects. Case, hyphens and underscores in a tag do not matter."""
REVIEWS_FILE = "reviews.csv"
_VERDICT = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True, order=True)
class Review:
    """One mask or clip to exclude."""

    item: str
    """``mask`` or ``clip``."""
    source: str
    id: str
    """mask_id or clip_id in the source's table; the key for a benchmark's sample."""
    verdict: str
    """Lower-case letters and underscores: ``bad_mask``."""
    category: str = ""
    label: str = ""
    """The reviewer's own label, if it differs from the category."""
    dataset: str = ""
    key: str = ""
    """The sample that was reviewed."""


COLUMNS = tuple(field.name for field in fields(Review))


@dataclass(frozen=True, slots=True)
class ReviewUpdate:
    """The reviews read from tagged samples."""

    reviews: list[Review]
    seen: frozenset[str]
    """Keys of all samples that were shown, tagged or not."""
    other_tags: Counter[str]
    """Tags that are not in `VERDICTS`, with the number of samples that have them."""


def read_reviews(path: Path) -> list[Review]:
    """Read a list of reviews; an absent file is an empty list.

    Raises:
        DataError: the file is not a list of reviews.
    """
    fix = "Fix the file, or pull the reviews again (avsynth inspect pull)."
    if not path.exists():
        return []
    reviews = []
    text = read_text(path, "a list of reviews (csv)", fix)
    header, rows = parse_columns(text, COLUMNS, exact=True)
    if not set(COLUMNS) <= set(header):
        found = ",".join(header) or "an empty file"
        raise DataError(str(path), f"the columns {','.join(COLUMNS)}", found, fix)
    for row in rows:
        review = Review(*(row[name] for name in COLUMNS))
        review = replace(review, item=fold(review.item), verdict=review.verdict.strip().lower())
        whole = not row.fault and review.item in ("mask", "clip")
        if not whole or not review.id or not _VERDICT.fullmatch(review.verdict):
            expected = "mask or clip, source, id, a verdict like bad_mask"
            found = row.fault or ",".join(row.cells.values())
            raise DataError(f"{path}:{row.line}", expected, found, fix)
        reviews.append(review)
    return reviews


def write_reviews(path: Path, reviews: Iterable[Review]) -> None:
    """Write a list of reviews, sorted and without duplicates."""
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(astuple(review) for review in sorted(set(reviews)))


def drop_reasons(reviews: Iterable[Review]) -> dict[tuple[str, str, str], str]:
    """Return why items are dropped: (item, source, id) -> reason, e.g. ``review_bad_mask``.

    The review of a union of masks (ids joined by '+') drops each of them.
    """
    reasons: dict[tuple[str, str, str], str] = {}
    for review in sorted(reviews):
        for one in review.id.split("+") if review.item == "mask" else [review.id]:
            reasons.setdefault((review.item, review.source, one), f"review_{review.verdict}")
    return reasons


def merge_reviews(old: Iterable[Review], dataset: str, update: ReviewUpdate) -> list[Review]:
    """Replace the reviews of the samples that were shown; keep the others."""
    kept = [r for r in old if r.dataset != dataset or r.key not in update.seen]
    return [*kept, *update.reviews]


def reviews_of(dataset: str, documents: Iterable[Mapping[str, Any]]) -> ReviewUpdate:
    """Return the reviews that the tags of samples express.

    Args:
        dataset: the dataset of the samples.
        documents: FiftyOne's, from a database or an export; the parts of a group may be in any
            order, and a tag on any part counts.
    """
    tags_of: dict[str, set[str]] = {}
    images: dict[str, Mapping[str, Any]] = {}
    for document in documents:
        tags = tags_of.setdefault(document["key"], set())
        tags.update(document.get("tags") or ())
        if "truth" in document:
            images[document["key"]] = document
            for mask in _masks(document):
                tags.update(mask.get("tags") or ())
    reviews: list[Review] = []
    other = Counter[str]()
    for key, tags in tags_of.items():
        if key in images:
            verdicts = {tag: " ".join(re.split(r"[\s_-]+", tag.strip().lower())) for tag in tags}
            other.update(tag for tag, verdict in verdicts.items() if verdict not in VERDICTS)
            known = set(verdicts.values()) & VERDICTS.keys()
            reviews += _reviews(dataset, images[key], known)
    return ReviewUpdate(reviews, frozenset(images), other)


def _masks(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((document["truth"] or {}).get("detections") or ())


def _reviews(dataset: str, image: Mapping[str, Any], verdicts: set[str]) -> Iterator[Review]:
    category = image["category"]
    labels = {mask.get("label") or "" for mask in _masks(image)} - {category, ""}
    if labels:
        verdicts = verdicts | {"wrong category"}
    elif not _masks(image):
        verdicts = verdicts | {"bad mask"}  # The reviewer deleted it.
    for verdict in sorted(verdicts):
        item = VERDICTS[verdict]
        yield Review(
            item,
            image.get(f"{item}_source") or dataset,
            image.get(f"{item}_id") or image["key"],
            verdict.replace(" ", "_"),
            category,
            ";".join(sorted(labels)) if item == "mask" else "",
            dataset,
            image["key"],
        )
