"""Sentences of the games, each in the game's own words and in others.

A game writes a sentence by filling the slots of a template; a view (`views.py`) finds the slots again and fills the
template beside it with them. A slot never holds the end of a sentence.
"""

# Of `tidy.py`: what each template is called there, its own words, and other words.
_TIDY = [
    ("begin", "Put every misplaced thing where it belongs.", "Things lie around: bring each to its proper place."),
    ("room", "You are in the {room}.", "This room is the {room}."),
    ("on", "On the {holder} you see {things}.", "Lying on the {holder}: {things}."),
    ("nothing on", "There is nothing on the {holder}.", "The {holder} is bare."),
    ("in", "The {holder} is open and holds {things}.", "Inside the {holder}, which stands open, you find {things}."),
    ("nothing in", "The {holder} is open and empty.", "No thing lies inside the {holder}, which stands open."),
    ("closed in", "The {holder} is closed.", "Somebody has shut the {holder}."),
    ("exit", "A door leads {direction}.", "It is possible to leave to the {direction}."),
    ("carrying", "You are carrying {things}.", "Your hands hold {things}."),
    ("carrying nothing", "You are carrying nothing.", "Your hands are free."),
    ("took", "You take the {thing} from the {holder}.", "The {holder} has lost the {thing} to your hands."),
    ("dropped", "You drop the {thing}.", "The {thing} now lies at your feet."),
    ("did put", "You put the {thing} on the {holder}.", "The {thing} has found a place upon the {holder}."),
    ("inserted", "You put the {thing} into the {holder}.", "The {thing} has found a place within the {holder}."),
    ("opened", "You open the {holder}.", "The {holder} swings wide."),
    ("shut", "You close the {holder}.", "The {holder} falls shut."),
    ("examined", "You see nothing special about the {thing}.", "Nothing about the {thing} strikes you as odd."),
    ("went", "You go {direction}.", "Walking {direction}, you arrive elsewhere."),
    ("looked", "You look around.", "Your eyes wander."),
    ("counted", "You check what you carry.", "You turn your attention to your hands."),
    ("paid", "Your score goes up by one point.", "That earned you a point."),
    ("won", "Everything is where it belongs.", "The house is in perfect order."),
    ("take up", "take {thing}", "pick {thing} up"),
    ("take", "take {thing} from {holder}", "pick {thing} up from {holder}"),
    ("drop", "drop {thing}", "lay {thing} down here"),
    ("put", "put {thing} on {holder}", "place {thing} upon {holder}"),
    ("insert", "insert {thing} into {holder}", "stow {thing} inside {holder}"),
    ("open", "open {holder}", "swing {holder} wide"),
    ("close", "close {holder}", "shut {holder}"),
    ("examine", "examine {thing}", "inspect {thing}"),
    ("go", "go {direction}", "walk {direction}"),
    ("look", "look", "survey the room"),
    ("inventory", "inventory", "list what you hold"),
]  # fmt: skip
TIDY = {name: own for name, own, _ in _TIDY}

PARAPHRASES = [(own, other) for _, own, other in _TIDY]
