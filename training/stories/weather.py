"""Whether the hour, the sky, the warmth and the wind of a story's beginning go together: no sun at midnight, no frost on a hot day."""

from __future__ import annotations

import re

# What a phrase allows, in one of four matters. A beginning agrees if every matter has a value that all its phrases allow.
ALLOWED = {
    "hour": {
        r"(?<!sing in the )\bmorning\b|at dawn": "morning",
        r"\bafternoon\b": "day",
        r"(?<!sunset )(?<!dawn )\bone (\w+ )?day\b|\bsummer\b.*\bday\b|sun was shining|blue as could be|birds were singing|very hot|sunlight|sunbeams": "morning day",
        r"\bevening\b|sunset|going down|pink and gold": "evening",
        r"getting dark|grew dark|night was falling|first stars|moon was round|day went to bed|turning soft and blue|birds had gone quiet|grows quiet|colours went to sleep|moonlight": "evening night",
        r"\bone (starry |dark )?night\b|a dark (and stormy )?night|middle of the night|almost midnight|coldest night|such a cold night|frost that night|starry": "night",
    },
    "sky": {
        r"sunny|sun was shining|blue as could be|moon was round|first stars|starry|moonlight|pink and gold|sunlight|sunbeams|bright (summer day|morning)": "clear",
        r"\bin the rain\b|rain was falling|rainy|raining|it rained|long grey strings|rained for seven days|a drop fell": "rain",
        r"snowy|snowflakes|snow was falling": "snow",
        r"\bin the fog\b|\bmist\b": "fog",
        r"\bin the storm\b|stormy": "storm",
        r"clouds hurried|thunder grumbled|smelled like rain|grey day": "cloud rain storm",
        r"frost": "clear cloud snow",
        r"had rained all night": "clear cloud rain fog",
    },
    "warmth": {
        r"\bsummer\b|very hot|\bheat\b|desert|jungle": "warm",
        r"warm (afternoon|and still)|butterflies|grasshoppers|bees|dragonflies|roses|poppies|birds were singing": "warm mild",
        r"\bspring\b": "mild",
        r"\bautumn\b": "mild cold",
        r"\bsnow|\bice\b|frost|\bwinter\b|chilly|\bcold\b|coldest": "cold",
    },
    "wind": {
        r"not a leaf|warm and still|\bmist\b": "still",
        r"(?<!fast as the )\bwind\b|windy|clouds hurried|\bin the storm\b|stormy": "windy",
    },
}
RULES = [(matter, re.compile(words, re.IGNORECASE), set(values.split())) for matter, table in ALLOWED.items() for words, values in table.items()]
# Where there is no weather.
SHELTERED = {"in space", "on the moon", "under the sea", "in the cave", "in the cellar"}


def agrees(text: str) -> bool:
    left: dict[str, set[str]] = {}
    for matter, words, values in RULES:
        if words.search(text):
            left[matter] = left.get(matter, values) & values
            if not left[matter]:
                return False
    return True
