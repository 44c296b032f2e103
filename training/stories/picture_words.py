"""The words that the illustrator knows for what a story holds: the nearest drawing of a hero or a thing, the nearest ground.

A picture line must not hold a word that the illustrator never met, so that "a badger in the cellar" becomes "a bear in a room".
"""

from __future__ import annotations

import random

from .lexicon import article

# drawn word: heroes that look most like it (a hero that is drawn under its own name needs no line)
HEROES = """
fox: raccoon
bear: badger, gorilla, moose, beaver, troll, koala
rabbit: kangaroo, hamster, guinea pig
mouse: mole, bat, dwarf, elf, tailor
owl: stork, peacock, pigeon, rooster, teacher
hedgehog: hen
wolf: hippo
cat: skunk
dog: seal, otter, beagle
duck: goose, swan
horse: zebra, camel, explorer
sheep: goat, shepherd
frog: lizard, goblin
turtle: crab, beetle, ladybird
snail: worm, caterpillar, ant
butterfly: bee, firefly, cricket
penguin: sailor, postman
bird: crow, seagull, parrot
monkey: squirrel, musician
octopus: spider, starfish, pirate
whale: fish, shark, dolphin, fisherman
cow: farmer
dragon: crocodile, snake, giant
robot: knight, inventor, clockmaker, astronaut
snowman: baker, miller, grandfather, scarecrow
princess: fairy, mermaid, gardener, painter
queen: grandmother
king: prince, boy
wizard:
"""

# drawn word: things that look most like it (a thing that is not here stays out of the picture)
THINGS = """
lantern: torch, candle, lighthouse lamp, campfire
key: compass, watch
crown: ring, helmet, bracelet
balloon: hot-air balloon, ball, bubble
star: glow stone, crystal, snowflake, gem, diamond
apple: pear, plum, cherry, strawberry
umbrella: tent
drum: tambourine, barrel, bucket
book: map, letter, story book, scroll, newspaper
boat: raft, canoe, toy boat, submarine
rocket: aeroplane, firework, paper plane
flower: rose, daisy, tulip, dandelion, clover
mushroom: acorn
cake: pie, bun, pancake, loaf of bread
bell: music box, horn
gift: parcel, chest, treasure chest, suitcase
"""

# ground phrase: places that are painted with it (by their noun phrase)
GROUNDS = """
in the snow: the snow
on the ice: the ice
in the forest: the forest, the hollow tree, the old oak, the swamp
in the woods: the woods
in the jungle: the jungle
in the orchard: the orchard
in the meadow: the meadow, the fog, the rain, the storm, the clouds, the moonlight
in the field: the field, the cornfield, the vineyard
on the hill: the hill, the crossroads
in the garden: the garden, the palace garden
in the park: the park, the playground, the circus, the fair
on the farm: the farm, the barn
in the valley: the valley
on the beach: the beach
on the island: the island
by the sea: the sea, the harbour, the lighthouse
on the sea: the ship
on the lake: the lake
by the river: the river, the bridge, the waterfall, the old mill
by the pond: the pond
in the city: the city, the roof, the train station
in the village: the village, the market, the school
on the road: the road, the train
in space: space, the moon
in the desert: the desert
in the castle: the castle, the tower
in the kitchen: the kitchen, the bakery
in the attic: the attic
in the library: the library, the museum
in a room: the cellar, the toy shop
in the mountains: the mountains, the mountain, the cave
by the shore:
under the stars: the campfire
"""


def _table(text: str) -> dict[str, str]:
    out = {}
    for line in text.strip().splitlines():
        drawn, _, words = line.partition(":")
        for word in [drawn, *words.split(",")]:
            if word.strip():
                out[word.strip()] = drawn
    return out


_HEROES, _THINGS, GROUND_OF = _table(HEROES), _table(THINGS), _table(GROUNDS)
DRAWN = "bunny hare kitten puppy duckling pony donkey lamb toad lioness piglet calf dragon unicorn ghost girl witch robin sparrow deer elephant giraffe panda tiger lion pig".split()
DRAWN_THINGS = "lamp diary ship sunflower present box".split()


def hero_word(noun: str) -> str | None:
    return noun if noun in DRAWN else _HEROES.get(noun)


def thing_word(noun: str) -> str | None:
    return noun if noun in DRAWN_THINGS else _THINGS.get(noun)


def time_word(text: str) -> str:
    first = text.split(".")[0].lower()
    return "at night" if "night" in first else "in the evening" if "evening" in first or "sunset" in first else "in the morning" if "morning" in first or "dawn" in first else ""


def picture_line(rng: random.Random, hero: str, thing: str, place: str, text: str) -> str | None:
    """One line in the illustrator's words for a story, or None where it has no word for the hero or the place."""
    who, what, ground = hero_word(hero), thing_word(thing), GROUND_OF.get(place)
    if not who or not ground:
        return None
    line = article(who)
    if what:
        line += f" {rng.choice(('next to', 'and'))} {article(what)}"
    line += f" {ground}"
    time = time_word(text) if ground != "in space" and not ground.startswith("under the stars") else ""
    weather = {"the rain": "in the rain", "the storm": "in the storm"}.get(place, "")
    return " ".join(p for p in (line, time, weather) if p)
