"""Tells stories: draws a character, a friend, a thing, a place and a plot, and writes them out.

A story is a function of its random generator and of what is asked for, nothing else. Templates hold
choices `[a|b]`, which may nest, and slots:

    {C} {c}      the hero, at the start of a sentence or inside one (name or "the fox")
    {D} {d}      the friend, likewise
    {a_c} {a_d}  the hero or the friend as introduced: "a clever fox named Pip"
    {he} {him} {his} {himself}, {se} {sim} {sis}   their pronouns (the friend's give way to {d} where both are alike)
    {a_t} {t} {bare} {adj}   the thing: "a small lantern", "the lantern", "lantern", "small"
    {p} {pn}     the place: "in the snow", "the snow"
    {sense} {look} {use} {open} {find} {friends} {close_…} {moral_…}   whole sentences, drawn below
A slot whose first letter is a capital starts a sentence.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from .lexicon import CATEGORY, NAMES_HE, NAMES_SHE, TIMES, WEATHER, Character, Place, Thing, article, load
from .weather import SHELTERED, agrees

TONES = ("kind", "funny", "sad", "brave", "mystery", "bedtime")
RIDEABLE = {
    "boat", "raft", "ship", "canoe", "sled", "cart", "wagon", "bicycle", "scooter", "train", "bus", "tractor", "car", "rocket", "hot-air balloon", "aeroplane",
    "submarine", "flying carpet", "carriage",
}
SHORT_WORDS = 105
TOO_BIG = RIDEABLE - {"sled", "scooter", "wagon", "canoe", "raft"} | {
    "puddle", "cloud", "rainbow", "bubble", "spider web", "footprint", "shadow", "echo", "tree stump", "bush", "little tree", "vine", "piano", "swing", "driftwood log",
    "lighthouse lamp", "bed", "tent", "treasure chest", "rocking horse", "moonbeam", "hammock", "anchor", "barrel",
}

HABITS = """sing in the morning|collect shiny things|count the clouds|look at the stars|ask questions|tell jokes|climb to high places|sleep late|splash in puddles|listen to old stories|draw pictures in the sand|make new friends
whistle while working|eat sweet things|dance when nobody looked|explore new paths|play hide and seek|build small houses of sticks|smell the flowers|watch the rain|read by candlelight|dream with open eyes|help the little ones
run as fast as the wind|cook strange soups|sit by the water|talk to the moon|learn new words|invent new games|laugh out loud""".replace("\n", "|")

MACROS = {
    "open": "[{open_once}|{open_once}|{open_time}|{open_time}|{open_place}|{open_plain}]",
    "open_once": "[Once upon a time,|Once,|Long ago,|A long time ago,|Once upon a time,|Many years ago,] [there was {a_c}|there lived {a_c}|{a_c} lived {p}|there was {a_c} who lived {p}]. {trait} {weather?}",
    "open_time": "{time}, {a_c} [was walking {p}|went for a walk {p}|was out {p}|was on the way home|woke up and stretched|set out {p}|was all alone {p}]. {weather?} {trait?}",
    "open_place": "[{P} lived {a_c}.|{P}, there lived {a_c}.|Far away, {p}, lived {a_c}.|{Sense} That was where {a_c} lived.] {trait}",
    "open_plain": "[This is the story of {a_c}.|There once was {a_c}.|Do you know the tale of {a_c}?|Let me tell you about {a_c}.|Everyone knew {a_c}.] {trait} {weather?}",
    "trait": "[{He} was {trait1} and {trait2}, and {he} loved to {habit}.|{C} loved to {habit}.|No other {noun} was as {trait1}.|Everyone said that {c} was very {trait1}.|{C} was {trait1}, but also a little {trait2}.|Nothing made {c} happier than to {habit}.|{C} was {trait1}, and {he} liked to {habit}.]",
    "find": "[{find_lead} {a_t}.|{find_lead} {a_t}.|{find_lead} {a_t} {p}.]",
    "find_lead_small": "[{Time_in}, {he} found|There, {p}, {c} found|And there, right in front of {him}, lay|Suddenly {c} saw|{C} looked down and saw|Half hidden {p} lay|{P}, {c} came upon|Something caught {c}'s eye. It was|{C} nearly stepped on something. It was|What was that? {C} bent down and found|{C} stopped. In front of {his} feet lay]",
    "find_lead_big": "[There, {p}, {c} found|And there, right in front of {him}, was|Suddenly {c} saw|{P}, {c} came upon|Something caught {c}'s eye. It was|{C} rubbed {his} eyes. There was|What was that? {C} came closer and found|Around the corner {c} discovered]",
    "friends": "[From that day on, {c} and {d} were the best of friends.|{C} and {d} became friends that day.|After that, {c} and {d} did everything together.|And so {c} found a friend in {d}.|{C} and {d} have been friends ever since.|They shook hands on it, and were friends for life.]",
    "close_kind": "[And they lived happily ever after.|It was the best day of all.|And that was that.|{C} went home with a warm heart.|{C} smiled all the way home.|And if they have not stopped, they are laughing still.|That evening {c} was the happiest {noun} {p}.|And everyone was glad.|That night {c} slept better than ever.|{C} never forgot that day.]{end?}",
    "close_funny": "[And they laughed until their tummies hurt.|And {c} never did it again, or at least not before breakfast.|They laughed about it for years.|Even the moon seemed to giggle.|And that is how {c} became famous.|{C} took a bow, and fell over.|If you listen well, you can hear them laughing still.|And nobody ever found out why.|\"Let us never speak of it again,\" said {c}. But they spoke of it every day.]{end?}",
    "close_sad": "[And a little of the sadness never went away.|The stars came out, one by one, and {c} was alone.|But sometimes, when the wind is soft, {c} smiles through the tears.|It still hurts, but it hurts a little less each day.|And {c} looked up at the sky, and was very quiet.|{C} went home slowly, and the evening was very still.|A tear fell on the ground, and that was all.|And {c} never forgot.]{end?}",
    "close_sleep": "[Good night, little {noun}.|And {c} slept, and dreamed until morning.|Outside, the moon kept watch.|And soon the whole world was asleep.|{C} smiled in {his} sleep. Good night.|The stars twinkled, and everything was still.|Sleep well, {c}. Sleep well, everyone.|And {he} slept as sound as a stone.]{end?}",
    "moral_share": "[For joy grows when it is shared.|And {c} had learned that two are happier than one.|{C} never forgot: what you share, you do not lose.|Sharing had made it twice as good.|That is how {c} learned to share.]{end?}",
    "moral_truth": "[The truth had been hard to say, but {c} felt as light as a feather.|And {c} had learned that it is best to tell the truth.|After that, {c} always told the truth, even when it was hard.|It is brave to say that you are sorry.]{end?}",
    "moral_brave": "[And {c} knew now that being brave means to be afraid and to do it all the same.|That night {c} felt ten feet tall.|Even the smallest heart can be brave.|{C} was never so afraid again.|From then on everyone called {him} brave.]{end?}",
    "moral_try": "[You only have to keep trying.|{C} had not given up, and that was the secret.|Good things take their time.|And {c} was very proud.|Step by step, one gets everywhere.]{end?}",
    "end?": "[||| The end.| And that is the end of the story.]",
    "mood_kind": "[{C} had a kind heart.|It was a good day to be kind.|This is a story with a happy heart.|People were good to each other in those days.|{C} was happy, and wanted everyone to be happy too.|It is a kind story, and a true one.|There was something friendly in the air.]",
    "mood_funny": "[Now this is a very silly story.|You will laugh at what happened next.|It was a day for nonsense.|Everything went wrong that day, in the funniest way.|{C} had got out of bed backwards that day.|{C} was known for doing everything the wrong way round.|This is the silliest thing that ever happened.|{C} had been giggling since breakfast.]",
    "mood_sad": "[It was a sad time.|{C} was often sad in those days.|It is a sad story, but I shall tell it.|Nobody laughed much in those days.|{C} had a heavy heart.|Sad things happen too, and this is one of them.|There was a heavy, grey feeling in the air.|{C} did not know yet how much {he} would cry.]",
    "mood_brave": "[Much courage was needed in those days.|It was a day for brave hearts.|Little did {c} know how brave {he} would have to be.|This is a story of great courage.|Danger was near, but {c} did not know it yet.|{C} wanted to be brave more than anything.|An adventure was waiting.]",
    "mood_mystery": "[Something was strange that day.|There was a secret in the air.|Nobody could explain what happened next.|It was a time full of riddles.|Strange things had been happening for a week.|{C} loved secrets more than anything.|To this day it is a mystery.]",
    "mood_bedtime": "[This is a quiet story, for sleepy ears.|It was a soft and quiet hour.|All was calm and still.|Listen, and grow sleepy.|The whole world had begun to yawn.|{C} was a little sleepy already.|Everything was soft and slow.]",
    "open_bare": "[{open_bare_first} {trait} {weather?}|{open_bare_first} {trait} {weather?}|{open_bare_first} {weather?}|{Teller} {open}]",
    "open_bare_first": "[{It_was}, and {a_c} was [wide awake|out all alone|on the way home].|{It_was}. {A_c} was walking {p}.|{A_c} once lived {p}.|{A_c} woke up and yawned.|{A_c} sat {p} and wondered what to do.|{A_c} had a problem.|{The_c} was bored.|{The_c} lived {p}, all alone.|{The_c} was {trait1}, and everybody knew it.|{The_c} was sad.|{The_c} was very happy that day.|My best friend is {a_c}.|Have you ever seen {a_c}? I have.|In the middle of the night, {a_c} woke up.|It all began with {a_t}. {A_c} found it {p}.|Far, far away there lived {a_c}.|Nobody knew where {a_c} had come from.|Deep down {p}, {a_c} was dreaming.|There was a time when {a_c} lived {p}.|Every day, {a_c} went for a walk {p}.|Today {a_c} was in a good mood.]",
    "open_child": "[{child_was} {child_did} {child_day}|{child_was} {child_did} {child_day}|{child_was} {child_day}|One day, {a_c} was playing {p}. {child_did}|One day, {a_c} went for a walk {p}.|There was {a_c}. {child_did} {child_day}]",
    "child_was": "[Once upon a time, there was {a_c}.|Once upon a time, there was {a_c}.|Once upon a time, there was {a_c} who lived {p}.|Once upon a time there lived {a_c}.|Once there was {a_c}.|Once upon a time, {a_c} lived {p}.]",
    "child_did": "[{He} loved to play outside.|{He} was very kind.|{He} loved to {habit}.|{He} liked to help {his} mother.|{He} was very happy.|{He} lived in a small house.|{He} had a big smile.|{C} was {trait1} and {trait2}.|Every day {he} went out to play.]",
    "child_day": "[One day, {he} went for a walk {p}.|One day, {c} was playing {p}.|One sunny day, {he} was {p}.|One day, {c} went out all alone.|One morning, {c} woke up early.|]",
    "it_was": "It was [a dark night|a dark and stormy night|a cold morning|a bright summer day|a quiet evening|late|almost midnight|a rainy day|winter|spring|the middle of the night]",
    "teller": "[My grandmother told me this story.|My uncle tells this story every winter.|My mother swears that this is true.|I know a story.|Listen!|Let me tell you something.|We had a strange visitor once.|You may not believe this.]",
    "weather?": "[{weather}|{weather}|]",
    "trait?": "[{trait}||]",
}

OTHER_PLACES = "bridge roof hilltop cupboard shed wagon stable tent cabin corridor puddle chapel quarry greenhouse station workshop tavern lagoon canyon glacier mine hut dungeon volcano rainforest prairie bathtub fridge".split()


@dataclass
class Ask:
    """What a story must hold; whatever is None is drawn."""

    hero: Character | None = None
    thing: Thing | None = None
    place: Place | None = None
    friend: Character | None = None
    name: str | None = None
    tone: str | None = None
    short: bool = False
    plot: str | None = None
    named: float = 0.12  # how often the hero has a name that nobody asked for
    mood: float = 0.35  # how often a sentence after the opening says what kind of story it will be
    opening: str = ""  # a macro to open with instead of the plot's own: as one may begin without a request


@dataclass
class Story:
    hero: Character
    friend: Character
    thing: Thing
    place: Place
    name: str | None
    tone: str
    short: bool
    plot: str
    verb: str
    title: str
    text: str
    has_friend: bool = field(default=True)
    deciding: tuple[str, ...] = ()  # the sentences that decide which story it becomes: its mood, and how its plot begins


@dataclass(frozen=True)
class Plot:
    name: str
    verbs: tuple[str, ...]
    tone: str  # what it leaves behind
    needs: str
    titles: tuple[str, ...]
    beats: tuple[str, ...]


@lru_cache(maxsize=1)
def plots() -> tuple[Plot, ...]:
    out: list[Plot] = []
    head, titles, beats = None, (), []
    lines = (Path(__file__).parent / "plots.txt").read_text(encoding="utf-8").splitlines() + ["== end ; ; ; "]
    for line in lines:
        if line.startswith("== "):
            if head:
                out.append(Plot(head[0], tuple(head[1].split(", ")), head[2], head[3], titles, tuple(beats)))
            head, beats = [part.strip() for part in line[3:].split(";")], []
        elif line.startswith("~ "):
            titles = tuple(t.strip() for t in line[2:].split(" | "))
        elif line.strip() and not line.startswith("#"):
            beats.append(line)
    return tuple(out)


def can_carry(thing: Thing) -> bool:
    return thing.noun not in TOO_BIG and (thing.category != "build" or thing.noun in ("scarecrow hat",))


def fits(plot: Plot, thing: Thing) -> bool:
    if plot.needs == "ride":
        return thing.noun in RIDEABLE
    return plot.needs == "any" or can_carry(thing)


CHOICE = re.compile(r"\[([^\[\]]*)\]")


def choose(rng: random.Random, template: str) -> str:
    """Resolves `[a|b]` from the inside out."""
    while True:
        found = CHOICE.search(template)
        if not found:
            return template
        template = template[: found.start()] + rng.choice(found.group(1).split("|")) + template[found.end() :]


SENTENCE = re.compile(r"(?<=[.!?]) ")
SLOT = re.compile(r"\{(\w+\??)\}")
PRONOUNS = {
    "he": {"he": "he", "him": "him", "his": "his", "himself": "himself"},
    "she": {"he": "she", "him": "her", "his": "her", "himself": "herself"},
}
LITTLE_WORDS = {"a", "an", "the", "of", "in", "on", "at", "by", "for", "to", "and", "under"}


def title_case(text: str) -> str:
    words = text.split(" ")
    return " ".join(w if i and w in LITTLE_WORDS else w[:1].upper() + w[1:] for i, w in enumerate(words))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


class Teller:
    """Fills the slots of one story."""

    def __init__(self, rng: random.Random, story: Story):
        self.rng, self.s = rng, story
        self.traits = rng.sample(story.hero.traits, 2)
        self.adjective = rng.choice(story.thing.adjectives)
        self.introduced: set[str] = set()
        self.senses = list(story.place.senses)
        rng.shuffle(self.senses)
        self.time = rng.choice(TIMES)
        self.seen_thing = False

    def who(self, noun: str, name: str | None) -> str:
        return name or f"the {noun}"

    def intro(self, key: str, noun: str, name: str | None, traits: tuple[str, ...]) -> str:
        if key in self.introduced:
            return self.who(noun, name)
        self.introduced.add(key)
        described = f"{self.rng.choice(traits if noun == 'giant' or noun.startswith(('little', 'small')) else (*traits, 'little'))} {noun}" if self.rng.random() < 0.6 else noun
        called = self.rng.choice(("named", "named", "called")) if name else ""
        return article(described) + (f" {called} {name}" if name else "")

    def slot(self, key: str) -> str:
        s, rng = self.s, self.rng
        low = key[:1].lower() + key[1:]
        if key != low and key not in ("C", "D", "T", "P"):
            return capital(self.slot(low))
        if key in ("C", "D", "T", "P"):
            return capital(self.slot(low))
        if low == "c":
            return self.who(s.hero.noun, s.name)
        if low == "d":
            if "d" not in self.introduced:
                return self.intro("d", s.friend.noun, None, s.friend.traits)
            return self.who(s.friend.noun, None)
        if low == "a_c":
            return self.intro("c", s.hero.noun, s.name, s.hero.traits)
        if low == "the_c":
            self.introduced.add("c")
            return self.who(s.hero.noun, s.name)
        if low in ("a_d", "a_d_cap"):
            text = self.intro("d", s.friend.noun, None, s.friend.traits)
            return capital(text) if low == "a_d_cap" else text
        if low in ("he", "him", "his", "himself"):
            return PRONOUNS[s.hero.pronoun][low]
        if low in ("se", "sim", "sis"):
            base = {"se": "he", "sim": "him", "sis": "his"}[low]
            if s.friend.pronoun != s.hero.pronoun:
                return PRONOUNS[s.friend.pronoun][base]
            return self.slot("d") + ("'s" if low == "sis" else "")
        if low in ("t", "the_t"):
            return f"the {s.thing.noun}"
        if low == "a_t":
            described = not self.seen_thing or rng.random() < 0.2
            self.seen_thing = True
            return article(f"{self.adjective} {s.thing.noun}" if described and rng.random() < 0.8 else s.thing.noun)
        if low == "p":
            return s.place.phrase
        if low == "p_cap":
            return capital(s.place.phrase)
        if low in ("onetime", "time_in"):
            return rng.choice(("one day", "one evening", "one morning", "one afternoon") if low == "onetime" else ("a little later", "not far away", "on the way", "all at once"))
        simple = {"bare": s.thing.noun, "adj": self.adjective, "pn": s.place.noun, "noun": s.hero.noun, "trait1": self.traits[0], "trait2": self.traits[1], "time": self.time}
        if low in simple:
            return simple[low]
        if low == "habit":
            return rng.choice(HABITS.split("|"))
        if s.short and low in ("weather?", "trait?", "look", "sense"):
            return ""
        if low == "sense":
            return self.senses.pop() if self.senses else ""
        if low == "weather":
            return "" if s.place.phrase in SHELTERED else rng.choice(WEATHER)
        if low == "look":
            return self.fill(CATEGORY[s.thing.category]["D"])
        if low == "use":
            return self.fill(CATEGORY[s.thing.category]["U"])
        if low == "find":
            text, where = self.fill(MACROS["find"]), f" {s.place.phrase}."
            return text.removesuffix(where) + "." if text.endswith(where) and s.place.phrase in text.removesuffix(where).lower() else text
        if low == "find_lead":
            return self.fill(MACROS["find_lead_small" if can_carry(s.thing) else "find_lead_big"])
        return self.fill(MACROS[low])

    def fill(self, template: str) -> str:
        return SLOT.sub(lambda m: self.slot(m.group(1)), choose(self.rng, template))

    def title(self, template: str) -> str:
        s = self.s
        hero = s.name or f"the {s.hero.noun}"
        values = {"Name": hero, "Friend": f"the {s.friend.noun}", "Bare": s.thing.noun, "P": s.place.phrase, "Adj": self.adjective, "A_Bare": article(s.thing.noun), "Call": s.name or s.hero.noun}
        return title_case(SLOT.sub(lambda m: values[m.group(1)], template))

    def titled(self, plot: Plot) -> str:
        """A title that holds the hero, the thing or the place: one of the plot's, or a plain one."""
        s = self.s
        while True:
            template = self.rng.choice(plot.titles) if self.rng.random() < 0.5 else self.rng.choice(GENERIC_TITLES)
            title = self.title(template.replace("{Hero}", title_case(s.hero.noun)))
            if any(word and word.lower() in title.lower() for word in (s.hero.noun, s.name, s.thing.noun, s.place.noun)):
                return title


GENERIC_TITLES = ("The {Hero} and the {Bare}", "{Name}'s {Bare}", "The {Bare} {P}", "{Name} and the {Bare}", "The {Hero} {P}", "{A_Bare} {P}")


def tidy(text: str) -> str:
    text = re.sub(r" +", " ", text)
    text = re.sub(r" ([.,!?])", r"\1", text)
    return text.strip()


def invented_word(rng: random.Random) -> str:
    return rng.choice("bl br cl dr fl gl gr kr pl sn sp tr w z m n v qu sk".split()) + rng.choice("a e i o u oo ee".split()) + rng.choice("b bble ck dge ff gg mp nd ngle pp rk rt sh zz x lly mbo".split())


def cast(rng: random.Random, ask: Ask) -> tuple[Character, Character, Thing, Place]:
    lexicon = load()
    hero = ask.hero or rng.choice(lexicon.characters)
    friend = ask.friend
    # a friend that nobody asked for has the other pronoun, so that "he" and "she" say who is meant
    while friend is None or friend.noun == hero.noun or (ask.friend is None and friend.pronoun == hero.pronoun):
        friend = rng.choice(lexicon.characters)
    return hero, friend, ask.thing or rng.choice(lexicon.things), ask.place or rng.choice(lexicon.places)


def tell(rng: random.Random, ask: Ask | None = None) -> Story:
    ask = ask or Ask()
    hero, friend, thing, place = cast(rng, ask)
    # every thing has plots of every tone
    fitting = [p for p in plots() if fits(p, thing) and (ask.tone is None or ask.tone == p.tone) and (ask.plot is None or ask.plot == p.name)]
    name = ask.name
    if not name and rng.random() < ask.named:
        name = rng.choice(NAMES_HE if hero.pronoun == "he" else NAMES_SHE)
    plot = None
    for _ in range(60):
        plot = plot or rng.choice(fitting)
        story = Story(hero, friend, thing, place, name, plot.tone, ask.short, plot.name, rng.choice(plot.verbs), "", "")
        teller = Teller(rng, story)
        paragraphs, mood = written(rng, plot, teller, ask)
        story.text = "\n\n".join(tidy(" ".join(p)) for p in paragraphs if p)
        story.deciding = tuple(t for t in (tidy(mood), tidy(paragraphs[0][2 if mood else 1])) if t)
        story.title = teller.titled(plot)
        story.has_friend = "d" in teller.introduced
        lower = story.text.lower()
        complete = hero.noun in lower and thing.noun in lower and place.noun in lower.replace(thing.noun, "") and (ask.friend is None or friend.noun in lower) and (ask.name is None or ask.name in story.text)
        *opening, first = paragraphs[0][: 3 if mood else 2]
        if not agrees(" ".join((*opening, SENTENCE.split(first)[0], place.phrase))):
            continue  # the same plot once more, in other weather
        if complete and (not ask.short or len(story.text.split()) <= SHORT_WORDS):
            return story
        plot = None
    return story


def written(rng: random.Random, plot: Plot, teller: Teller, ask: Ask) -> tuple[list[list[str]], str]:
    """The paragraphs of a story, each a list of what its beats became, and the sentence that says of what kind it is ("" for none)."""
    paragraphs: list[list[str]] = [[]]
    mood = ""
    for at, beat in enumerate(plot.beats):
        if at == 0:
            paragraphs[-1].append(teller.fill(f"{{{ask.opening}}}" if ask.opening else beat))
            if rng.random() < ask.mood:
                mood = teller.fill(f"{{mood_{plot.tone}}}")
                paragraphs[-1].append(mood)
            continue
        if beat == "--":
            if not ask.short or len(paragraphs) < 2:
                paragraphs.append([])
            continue
        if beat.startswith("? "):
            if ask.short or rng.random() < 0.4:
                continue
            beat = beat[2:]
        elif beat.startswith("> "):
            if ask.short or rng.random() < 0.12:
                continue
            beat = beat[2:]
        paragraphs[-1].append(teller.fill(beat))
    return paragraphs, mood
