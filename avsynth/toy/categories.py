"""`CATEGORIES`: the categories of the toy world with their names in every dataset.

Names and ids are the datasets' own (LVIS v1 ids, Open Images MIDs, COCO ids, VGGSound labels,
AVSBench S4 classes, AVSBench-semantic tokens), so that the toy world uses the same category
table as real data.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToyCategory:
    """One category: its name in each dataset, and its frequency."""

    name: str
    vggsound: tuple[str, ...]
    lvis_id: int = 0
    """LVIS v1 category id; 0 if the toy LVIS has no masks of it."""
    lvis: str = ""
    synset: str = ""
    frequency: str = "f"
    """LVIS frequency group: r, c or f."""
    mid: str = ""
    """Open Images MID; empty if it has no masks there."""
    mid_name: str = ""
    coco_id: int = 0
    coco: str = ""
    s4: str = ""
    """AVSBench S4 class."""
    avss: str = ""
    """AVSBench-semantic token."""
    unseen: bool = False
    """Whether it is an unseen category in the V3 lists."""
    rare: bool = False
    """Whether only a few masks exist."""
    silent: bool = False
    """Whether it has no audio: it is annotated, but it is not in the category table."""


CATEGORIES: tuple[ToyCategory, ...] = (
    ToyCategory("ambulance", ("ambulance siren",), 8, "ambulance", "ambulance.n.01", "c",
                "/m/012n7d", "Ambulance", s4="ambulance_siren", avss="emergency-car", unseen=True),
    ToyCategory("cat", ("cat meowing", "cat purring", "cat caterwauling"), 225, "cat", "cat.n.01",
                "f", "/m/01yrx", "Cat", 17, "cat", "cat_meowing", "cat"),
    ToyCategory("dog", ("dog barking", "dog bow-wow", "dog baying"), 378, "dog", "dog.n.01", "f",
                "/m/0bt9lr", "Dog", 18, "dog", "dog_barking", "dog"),
    ToyCategory("bus", ("driving buses",), 173, "bus_(vehicle)", "bus.n.01", "f",
                "/m/01bjv", "Bus", 6, "bus", "driving_buses", "bus"),
    ToyCategory("horse", ("horse clip-clop", "horse neighing"), 569, "horse", "horse.n.01", "f",
                "/m/03k3r", "Horse", 19, "horse", "horse_clip-clop", "horse"),
    ToyCategory("lion", ("lions roaring", "lions growling"), 649, "lion", "lion.n.01", "c",
                "/m/096mb", "Lion", s4="lions_roaring", avss="lion"),
    ToyCategory("bird", ("bird chirping, tweeting", "mynah bird singing", "bird squawking"),
                99, "bird", "bird.n.01", "f", "/m/015p6", "Bird", 16, "bird",
                "mynah_bird_singing", "bird"),
    ToyCategory("guitar", ("playing acoustic guitar", "playing steel guitar, slide guitar"),
                521, "guitar", "guitar.n.01", "f", "/m/0342h", "Guitar",
                s4="playing_acoustic_guitar", avss="guitar"),
    ToyCategory("piano", ("playing piano",), 798, "piano", "piano.n.01", "f",
                "/m/05r5c", "Piano", s4="playing_piano", avss="piano"),
    ToyCategory("computer_keyboard", ("typing on computer keyboard",),
                296, "computer_keyboard", "computer_keyboard.n.01", "f",
                "/m/01m2v", "Computer keyboard", 76, "keyboard", "typing_on_computer_keyboard",
                "keyboard"),
    ToyCategory("airplane", ("airplane", "airplane flyby"), 3, "airplane", "airplane.n.01", "f",
                "/m/0cmf2", "Airplane", 5, "airplane", avss="airplane"),
    ToyCategory("alarm_clock", ("alarm clock ringing",), 4, "alarm_clock", "alarm_clock.n.01", "f",
                "/m/046dlr", "Alarm clock", avss="clock", unseen=True),
    ToyCategory("donkey", ("donkey, ass braying",), 384, "domestic_ass", "domestic_ass.n.01", "c",
                "/m/0dbzx", "Mule", avss="donkey", unseen=True),
    ToyCategory("duck", ("duck quacking",), 401, "duck", "duck.n.01", "f",
                "/m/09ddx", "Duck", avss="duck"),
    ToyCategory("frog", ("frog croaking",), 475, "frog", "frog.n.01", "c", "/m/09ld4", "Frog"),
    ToyCategory("snake", ("snake hissing", "snake rattling"), 975, "snake", "snake.n.01", "r",
                "/m/078jl", "Snake", rare=True),
    ToyCategory("squirrel", ("chipmunk chirping",), 1004, "squirrel", "squirrel.n.01", "c",
                "/m/071qp", "Squirrel", avss="squirrel", unseen=True),
    ToyCategory("helicopter", ("helicopter",), s4="helicopter", avss="helicopter", unseen=True),
    ToyCategory("banana", (), 45, "banana", "banana.n.02", "f", coco_id=52,
                coco="banana", silent=True),
)  # fmt: skip

CATEGORY_BY_NAME: dict[str, ToyCategory] = {category.name: category for category in CATEGORIES}
IMAGE_CATEGORIES: tuple[str, ...] = tuple(
    r.name for r in CATEGORIES if r.lvis_id and not r.rare and not r.silent
)
"""Categories that are common in the images of LVIS, Open Images and COCO; rare and silent
categories are added to a few images."""
S4_CATEGORIES: tuple[str, ...] = tuple(r.name for r in CATEGORIES if r.s4)
AVSS_CATEGORIES: tuple[str, ...] = tuple(r.name for r in CATEGORIES if r.avss)
