"""The house that is tidied: its rooms, what stands in them, and which thing belongs where.

These tables are our own. They decide how hard the games are, so they stay as they are: recorded data, games and the
frozen tables of words all follow from them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

FLOOR = "floor"  # of every room; nothing belongs there

# The holders of each room: things are put `on` a supporter, and `into` a container, which can be open or closed.
ROOMS: dict[str, dict[str, str]] = {
    "kitchen": {"fridge": "in", "cutlery drawer": "in", "kitchen cupboard": "in", "dish rack": "on", "stove": "on"},
    "bathroom": {
        "bathroom cabinet": "in",
        "pedal bin": "in",
        "towel rail": "on",
        "soap dish": "on",
        "shower shelf": "on",
    },
    "bedroom": {
        "wardrobe": "in",
        "chest of drawers": "in",
        "jewellery box": "in",
        "bed": "on",
        "bedside table": "on",
    },
    "living room": {
        "toy chest": "in",
        "sofa": "on",
        "bookcase": "on",
        "coffee table": "on",
        "television stand": "on",
    },
    "hallway": {"shoe cabinet": "in", "coat rack": "on", "key hook": "on", "umbrella stand": "on", "letter tray": "on"},
    "laundry room": {
        "washing machine": "in",
        "laundry basket": "in",
        "ironing board": "on",
        "drying rack": "on",
        "utility shelf": "on",
    },
    "study": {"filing cabinet": "in", "pencil case": "in", "wastepaper bin": "in", "desk": "on", "noticeboard": "on"},
    "garden shed": {
        "toolbox": "in",
        "seed drawer": "in",
        "workbench": "on",
        "potting bench": "on",
        "tool rack": "on",
    },
}

# What stands before the noun in the name of a thing.
ADJECTIVES = frozenset(
    {"clean", "crumpled", "damp", "dirty", "dry", "electric", "empty", "grubby", "muddy", "raw",
     "stained", "sweaty", "torn", "used", "wet", "winter"}
)  # fmt: skip

# Things and their right places, 1 to 3. Those on the left of a bar may be seen in training games; those on its right
# are kept for games with unseen things, and have no noun in common with the others.
_BELONGS = """
fridge: some milk; some butter; some cheese | some yoghurt; some raw chicken
cutlery drawer: a fork; a teaspoon; a ladle | a corkscrew; a bread knife
kitchen cupboard: some flour; some sugar; some salt | some rice; some dry pasta
dish rack: a wet plate; a wet mug | a wet bowl; a wet saucer
stove: a frying pan; a saucepan | a kettle; a wok
bathroom cabinet: some toothpaste; a razor; a comb | some dental floss; a thermometer
pedal bin, wastepaper bin: a used tissue; an apple core | a banana peel; a cotton bud
towel rail: a bath towel; a hand towel | a flannel
soap dish: some soap | a nail brush
shower shelf, bathroom cabinet: some shampoo; some shower gel | some conditioner
wardrobe: a dress; a suit | a skirt
wardrobe, coat rack: a winter coat; a jacket | an anorak
chest of drawers: a clean sock; a clean shirt | a clean jumper
chest of drawers, bed: some pyjamas | a nightgown
bed: a pillow; a duvet | a mattress cover
bed, sofa: a cushion | a blanket
bedside table: an alarm clock | an eye mask
bedside table, desk: a reading lamp | a night light
jewellery box: a necklace; a ring | a bracelet; an earring
bookcase: an atlas; a dictionary | an encyclopedia
bookcase, bedside table: a novel | a diary
coffee table: a newspaper | a coaster
coffee table, bookcase: a magazine | a photo album
television stand: a games console | a loudspeaker
television stand, coffee table, sofa: a remote control | a set of headphones
toy chest: a teddy bear; a toy car | a doll; a jigsaw puzzle
shoe cabinet: some sneakers; some sandals | some boots; some slippers
coat rack: a raincoat; a hat | a scarf; a cap
key hook: a house key | a lanyard
umbrella stand: an umbrella; a walking stick | a parasol
letter tray, desk: a letter; a postcard | a parcel
washing machine, laundry basket: a dirty sock; a stained shirt | some muddy jeans; a grubby apron
laundry basket: a sweaty vest | a used napkin
ironing board: an iron | some spray starch
drying rack: a wet swimsuit; a damp blouse | some damp leggings
utility shelf: some washing powder; some bleach | some fabric softener
filing cabinet: a contract; an invoice | a certificate
filing cabinet, desk: a tax return | a bank statement
pencil case: a pencil; a ballpoint pen | a crayon
pencil case, desk: an eraser | a highlighter
wastepaper bin: a crumpled envelope; a torn wrapper | an empty carton
desk: a laptop; a calculator | a keyboard
noticeboard: a calendar | a flyer
noticeboard, desk: a shopping list | a timetable
toolbox: a hammer; a screwdriver | some pliers
toolbox, workbench: a spanner; a tape measure | a chisel
workbench: an electric drill | a sander
potting bench: a flower pot; a watering can | a seedling
seed drawer: some sunflower seeds | some tulip bulbs
tool rack: a rake; a spade | a hoe
tool rack, workbench: a saw | an axe
"""


@dataclass(frozen=True)
class Thing:
    """One movable object."""

    name: str  # as commands have it: "wet plate"
    phrase: str  # as sentences list it: "a wet plate", "some milk"
    places: tuple[str, ...]  # holders where it belongs
    seen: bool  # in training games


def _things() -> Iterator[Thing]:
    for line in _BELONGS.strip().splitlines():
        places, _, named = line.partition(": ")
        for part, seen in zip(named.split(" | "), (True, False), strict=True):
            for phrase in part.split("; "):
                yield Thing(phrase.partition(" ")[2], phrase, tuple(places.split(", ")), seen)


THINGS = {thing.name: thing for thing in _things()}
ROOM_OF = {holder: room for room, holders in ROOMS.items() for holder in holders}
CONTAINERS = frozenset(holder for holders in ROOMS.values() for holder, kind in holders.items() if kind == "in")


def noun_of(name: str) -> str:
    """The noun of a name of a thing, a holder or a room: "plate" of "wet plate", "coffee table" as it is."""
    words = name.split()
    while words[0] in ADJECTIVES:
        del words[0]
    return " ".join(words)
