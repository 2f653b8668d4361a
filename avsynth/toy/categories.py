"""The cast of the toy world: its categories and what every dataset calls them.

Names and ids are the datasets' own (LVIS v1 ids, Open Images MIDs, COCO ids, VGGSound labels,
AVSBench S4 classes, AVSBench-semantic tokens), so that the toy world passes through the same
category table as real data.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Role:
    """One category: what it is called where, and how often it is drawn."""

    name: str
    vggsound: tuple[str, ...]
    lvis_id: int = 0
    """LVIS v1 category id; 0 where LVIS has no masks of it here."""
    lvis: str = ""
    synset: str = ""
    frequency: str = "f"
    """LVIS frequency group: r, c or f."""
    mid: str = ""
    """Open Images MID, empty where it is not segmented there."""
    mid_name: str = ""
    coco_id: int = 0
    coco: str = ""
    s4: str = ""
    """AVSBench S4 class."""
    avss: str = ""
    """AVSBench-semantic token."""
    unseen: bool = False
    """Whether the V3 lists hold it back."""
    rare: bool = False
    """Whether only a handful of masks exist."""
    mute: bool = False
    """Whether it makes no sound: annotated, but in nobody's vocabulary."""


CAST: tuple[Role, ...] = (
    Role("ambulance", ("ambulance siren",), 8, "ambulance", "ambulance.n.01", "c",
         "/m/012n7d", "Ambulance", s4="ambulance_siren", avss="emergency-car", unseen=True),
    Role("cat", ("cat meowing", "cat purring", "cat caterwauling"), 225, "cat", "cat.n.01", "f",
         "/m/01yrx", "Cat", 17, "cat", "cat_meowing", "cat"),
    Role("dog", ("dog barking", "dog bow-wow", "dog baying"), 378, "dog", "dog.n.01", "f",
         "/m/0bt9lr", "Dog", 18, "dog", "dog_barking", "dog"),
    Role("bus", ("driving buses",), 173, "bus_(vehicle)", "bus.n.01", "f",
         "/m/01bjv", "Bus", 6, "bus", "driving_buses", "bus"),
    Role("horse", ("horse clip-clop", "horse neighing"), 569, "horse", "horse.n.01", "f",
         "/m/03k3r", "Horse", 19, "horse", "horse_clip-clop", "horse"),
    Role("lion", ("lions roaring", "lions growling"), 649, "lion", "lion.n.01", "c",
         "/m/096mb", "Lion", s4="lions_roaring", avss="lion"),
    Role("bird", ("bird chirping, tweeting", "mynah bird singing", "bird squawking"),
         99, "bird", "bird.n.01", "f", "/m/015p6", "Bird", 16, "bird",
         "mynah_bird_singing", "bird"),
    Role("guitar", ("playing acoustic guitar", "playing steel guitar, slide guitar"),
         521, "guitar", "guitar.n.01", "f", "/m/0342h", "Guitar",
         s4="playing_acoustic_guitar", avss="guitar"),
    Role("piano", ("playing piano",), 798, "piano", "piano.n.01", "f",
         "/m/05r5c", "Piano", s4="playing_piano", avss="piano"),
    Role("computer_keyboard", ("typing on computer keyboard",),
         296, "computer_keyboard", "computer_keyboard.n.01", "f",
         "/m/01m2v", "Computer keyboard", 76, "keyboard", "typing_on_computer_keyboard",
         "keyboard"),
    Role("airplane", ("airplane", "airplane flyby"), 3, "airplane", "airplane.n.01", "f",
         "/m/0cmf2", "Airplane", 5, "airplane", avss="airplane"),
    Role("alarm_clock", ("alarm clock ringing",), 4, "alarm_clock", "alarm_clock.n.01", "f",
         "/m/046dlr", "Alarm clock", avss="clock", unseen=True),
    Role("donkey", ("donkey, ass braying",), 384, "domestic_ass", "domestic_ass.n.01", "c",
         "/m/0dbzx", "Mule", avss="donkey", unseen=True),
    Role("duck", ("duck quacking",), 401, "duck", "duck.n.01", "f",
         "/m/09ddx", "Duck", avss="duck"),
    Role("frog", ("frog croaking",), 475, "frog", "frog.n.01", "c", "/m/09ld4", "Frog"),
    Role("snake", ("snake hissing", "snake rattling"), 975, "snake", "snake.n.01", "r",
         "/m/078jl", "Snake", rare=True),
    Role("squirrel", ("chipmunk chirping",), 1004, "squirrel", "squirrel.n.01", "c",
         "/m/071qp", "Squirrel", avss="squirrel", unseen=True),
    Role("helicopter", ("helicopter",), s4="helicopter", avss="helicopter", unseen=True),
    Role("banana", (), 45, "banana", "banana.n.02", "f", coco_id=52, coco="banana", mute=True),
)  # fmt: skip

ROLES: dict[str, Role] = {role.name: role for role in CAST}
PICTURED: tuple[str, ...] = tuple(r.name for r in CAST if r.lvis_id and not r.rare and not r.mute)
"""What the pictures of LVIS, Open Images and COCO show freely; rare and mute ones are sprinkled."""
S4_CAST: tuple[str, ...] = tuple(r.name for r in CAST if r.s4)
AVSS_CAST: tuple[str, ...] = tuple(r.name for r in CAST if r.avss)
