"""What the illustrator's world holds: subjects (Noto emoji drawings), grounds, times of day, weather, and their words.

Plain data that is easy to read and to add to. The first word of a line is the name that scenes use; words after it mean the same
in captions. The storyteller's heroes and places are here where a drawing or a ground comes near them.
"""

from __future__ import annotations

# emoji code: name, other words; plurals are regular unless after a slash
CHARACTERS = """
1f98a: fox
1f43b: bear
1f430: rabbit, hare, bunny/bunnies
1f401: mouse/mice
1f989: owl
1f994: hedgehog
1f98c: deer/deer, moose/moose
1f43a: wolf/wolves
1f408: cat, kitten
1f415: dog, puppy/puppies
1f986: duck, duckling
1f40e: horse, pony/ponies, donkey
1f411: sheep/sheep, lamb
1f438: frog, toad
1f422: turtle
1f40c: snail
1f98b: butterfly/butterflies
1f427: penguin
1f981: lion, lioness
1f405: tiger
1f418: elephant
1f992: giraffe
1f412: monkey
1f43c: panda
1f419: octopus
1f40b: whale
1f416: pig, piglet
1f404: cow, calf/calves
1f409: dragon
1f984: unicorn
1f916: robot
1f47b: ghost
26c4: snowman/snowmen
1f478: princess, queen, girl
1f9d9: wizard, witch, king
1f426: bird, robin, sparrow
"""

THINGS = """
1f3ee: lantern, lamp
1f511: key
1f451: crown
1f388: balloon
2b50: star
1f34e: apple
2602: umbrella
1f941: drum
1f4d5: book, diary/diaries
26f5: boat, ship, sailboat
1f680: rocket
1f33b: sunflower, flower
1f344: mushroom
1f382: cake
1f514: bell
1f381: present, gift, box
"""

# name: phrases
GROUNDS = """
meadow: in the meadow, in the grass, in the field, on the hill, in the garden, in the park, on the farm, in the valley
forest: in the forest, in the woods, under the trees, in the jungle, in the orchard
beach: on the beach, on the sand, on the island, by the shore
snow: in the snow, on the ice, on snowy ground
city: in the city, in the town, in the street, in the village, on the road
sea: on the sea, in the sea, by the sea, on the lake, in the water, by the river, by the pond
space: in space, among the planets, in outer space
desert: in the desert, among the dunes, between the cactuses
room: in a room, in the house, indoors, in the kitchen, in the castle, in the attic, in the library
mountains: in the mountains, on the mountain, among the peaks
"""

TIMES = """
day: by day, in the daytime, in the morning, in the sunshine
sunset: at sunset, at dusk, in the evening, at sundown
night: at night, in the moonlight, in the dark, under the stars
"""

WEATHERS = """
clear:
rain: in the rain, on a rainy day, while it rains, in the storm
snowfall: while it snows, in falling snow, with snowflakes
"""

GROUND_ADJECTIVES = {"meadow": "green", "forest": "forest", "beach": "sandy", "snow": "snowy", "city": "city", "sea": "sea", "space": "space", "desert": "desert", "room": "indoor", "mountains": "mountain"}

# Grounds under a roof or without air know no weather, space no time of day.
NO_WEATHER = ("space", "room")
NO_TIME = ("space",)

# Who may hang in the air.
FLYING = ("owl", "butterfly", "bird", "ghost", "balloon", "star", "rocket", "dragon")


def _lines(text: str) -> list[tuple[str, list[str]]]:
    split = (line.split(":", 1) for line in text.strip().splitlines())
    return [(key, [w.strip() for w in words.split(",") if w.strip()]) for key, words in split]


def _plural(word: str) -> tuple[str, str]:
    if "/" in word:
        one, many = word.split("/")
        return one, many
    return word, word + ("es" if word.endswith(("x", "s", "ch", "sh")) else "s")


class Subject:
    def __init__(self, code: str, words: list[str], thing: bool):
        self.file, self.thing = f"emoji_u{code}.png", thing
        self.words = [_plural(w) for w in words]
        self.name = self.words[0][0]


SUBJECTS = [Subject(c, w, False) for c, w in _lines(CHARACTERS)] + [Subject(c, w, True) for c, w in _lines(THINGS)]
BY_NAME = {s.name: s for s in SUBJECTS}
SUBJECT_NAMES = [s.name for s in SUBJECTS]
CHARACTER_NAMES = [s.name for s in SUBJECTS if not s.thing]
THING_NAMES = [s.name for s in SUBJECTS if s.thing]
GROUND_PHRASES = dict(_lines(GROUNDS))
TIME_PHRASES = dict(_lines(TIMES))
WEATHER_PHRASES = dict(_lines(WEATHERS))
GROUND_NAMES, TIME_NAMES, WEATHER_NAMES = list(GROUND_PHRASES), list(TIME_PHRASES), list(WEATHER_PHRASES)


def held_out(subject: str, ground: str) -> bool:
    """Pairs that training never shows: one in ten, spread evenly over both."""
    return (SUBJECT_NAMES.index(subject) * 3 + GROUND_NAMES.index(ground) * 7 + SUBJECT_NAMES.index(subject) // 10) % 10 == 0
