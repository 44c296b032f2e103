"""Turns stories into conversations: what was asked, what was answered.

A conversation is a list of (role, text). Held-out triples of hero, thing and place (two in a hundred, by a
hash of their names) are never told about in training, so that an evaluation can ask for them.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import replace

from .lexicon import NAMES_HE, NAMES_SHE, Character, Place, Thing, article, load
from .picture_words import picture_line
from .tell import OTHER_PLACES, SENTENCE, TONES, Ask, Story, can_carry, cast, capital, choose, invented_word, tell

Turn = tuple[str, str]

STYLE = {"sad": ("sad", "sad", "very sad"), "funny": ("funny", "funny", "silly"), "bedtime": ("sleepy", "bedtime", "quiet"), "brave": ("brave", "exciting"), "mystery": ("mysterious", "mystery"), "kind": ("happy", "kind", "nice")}


def held_out(hero: str, thing: str, place: str) -> bool:
    return zlib.crc32(f"{hero}|{thing}|{place}".encode()) % 50 == 0


def request_for(rng: random.Random, hero: Character, thing: Thing | None, place: Place | None, friend: Character | None, name: str | None, verb: str, tone: str | None, short: bool, title: bool) -> str:
    who = article(hero.noun)
    if rng.random() < 0.2:
        who = article(f"{rng.choice(hero.traits)} {hero.noun}")
    if name:
        who += f" {rng.choice(('named', 'called'))} {name}"
    if friend:
        who += f" and {article(friend.noun)}"
    what = ""
    if thing:
        a_thing = article(f"{rng.choice(thing.adjectives)} {thing.noun}" if rng.random() < 0.15 else thing.noun)
        what = rng.choice((f" who {verb} {a_thing}", f" who {verb} {a_thing}", f" and {a_thing}")) if not friend else rng.choice((f" and {a_thing}", f" with {a_thing}"))
    where = f" {place.phrase}" if place else ""
    wanted = [w for w in ("short" if short else "", rng.choice(STYLE[tone]) if tone else "") if w]
    kind = " ".join(wanted)
    a_story = article(f"{kind} story" if kind else rng.choice(("story", "story", "tale")))
    late_style = ""
    if kind and rng.random() < 0.35:
        a_story, late_style = "a story", f" Make it {' and '.join(wanted).replace('bedtime', 'sleepy').replace('mystery', 'mysterious')}."
    lead = choose(rng, "[Tell me {s}|Tell {s}|Write {s}|Please tell me {s}|Can you tell me {s}|I would like {s}|Tell us {s}|Make up {s}|{S}]").replace("{s}", a_story).replace("{S}", capital(a_story))
    text = f"{lead} about {who}{what}{where}"
    text += "?" if lead.startswith("Can") else rng.choice((".", ".", ""))
    if late_style and text[-1] not in ".?":
        text += "."
    text += late_style
    if title:
        if text[-1] not in ".?":
            text += "."
        text += rng.choice((" Give it a title.", " With a title, please.", " Start with a title."))
    if rng.random() < 0.15:
        text = text[0].lower() + text[1:]
    return text


def odd_cast(rng: random.Random, ask: Ask) -> None:
    """Now and then a word from outside the little world, so that the model learns to take over what it is told."""
    roll = rng.random()
    if roll < 0.5:
        noun = invented_word(rng) if roll < 0.3 else f"{rng.choice(rng.choice(load().things).noun.split())} {rng.choice(load().things).noun.split()[-1]}"
        ask.thing = Thing(noun, ("strange", "shiny", "small"), rng.choice(("nature", "tool", "toy")))
    elif roll < 0.75:
        ask.hero = Character(invented_word(rng), ("odd", "friendly", "curious", "shy"), "he")
    else:
        noun = rng.choice(OTHER_PLACES)
        ask.place = Place(f"{rng.choice(('in', 'near', 'by'))} the {noun}", f"the {noun}", ("It was very quiet.", "Everything looked strange.", "A door creaked somewhere."))


def ask_and_tell(rng: random.Random) -> tuple[Story, str, bool, Ask]:
    """A story, the request that it answers, whether a title was asked for, and what the teller was told."""
    while True:
        ask = Ask(short=rng.random() < 0.25, tone=rng.choice(TONES) if rng.random() < 0.5 else None)
        ask.mood = 0.9 if ask.tone else 0.15
        if rng.random() < 0.2:
            odd_cast(rng, ask)
        asks_friend, asks_name = rng.random() < 0.08, rng.random() < 0.12
        hero, friend, thing, place = cast(rng, ask)
        ask.hero, ask.place = hero, place
        if asks_friend:
            ask.friend = friend
        if asks_name:
            ask.name = rng.choice(NAMES_SHE if hero.pronoun == "she" else NAMES_HE)
        ask.thing = thing
        if held_out(hero.noun, thing.noun, place.noun):
            continue
        story = tell(rng, ask)
        give_thing, give_place = rng.random() < 0.88, rng.random() < 0.85
        verb = "finds" if rng.random() < 0.5 else story.verb
        title = rng.random() < 0.2
        text = request_for(rng, hero, thing if give_thing else None, place if give_place else None, ask.friend, ask.name, verb, ask.tone, ask.short, title)
        return story, text, title, ask


def question(rng: random.Random, s: Story) -> Turn:
    """(question, answer) about a story that has just been told."""
    hero = f"{s.name} the {s.hero.noun}" if s.name else f"the {s.hero.noun}"
    a_thing = article(s.thing.noun)
    choices = [
        (choose(rng, "[Who is the story about?|Who is it about?|Who is the hero of the story?]"), f"It is about {hero}."),
        (choose(rng, "[Where does the story happen?|Where does it take place?|Where was the {n}?]").replace("{n}", s.hero.noun), f"It happens {s.place.phrase}."),
        (choose(rng, "[What is the story about?|What thing is in the story?|Which thing matters in the story?]"), f"It is about {a_thing}."),
    ]
    if s.name:
        choices.append((f"What is the {s.hero.noun} called?", f"The {s.hero.noun} is called {s.name}."))
    if s.has_friend:
        choices.append((choose(rng, "[Who else is in the story?|Who is the other one?|Whom does the hero meet?]"), f"The {s.friend.noun} is in it too."))
    return rng.choice(choices)


SMALL_TALK = (
    ("[Hello|Hi|Hey|Good morning|Hello there|hi]", "[Hello! Shall I tell you a story? Name somebody, a thing and a place.|Hello! Tell me who, what and where, and I shall tell you a story.]"),
    ("[Who are you?|What are you?|What can you do?|What do you know?]", "[I tell small stories about animals and people, and the things that they find. Ask me for one!|I am a storyteller, and a very small one. Ask me for a story about a fox, say, or a queen.]"),
    ("[Thank you|Thanks|That was nice|Thank you!]", "[You are welcome! Shall I tell another one?|I am glad that you liked it. Would you like another?]"),
)


def told_anew(rng: random.Random, story: Story, ask: Ask) -> tuple[str, Story]:
    """A wish for the story that was just told, once more with the same three in it, shorter or in another tone; and that story."""
    again = replace(ask, thing=story.thing, name=story.name, short=True, mood=0.9)
    if len(story.text) > 700 or rng.random() < 0.3:
        again.plot = story.plot
        asked = choose(rng, "[Make it shorter.|Shorter, please.|Tell it again, but shorter.|Can you make it short?|That was too long.]")
    else:
        again.tone = rng.choice([t for t in TONES if t != story.tone])
        kind = rng.choice(STYLE[again.tone])
        asked = choose(rng, f"[Make it {kind}.|Now make it {kind}.|Tell it again, but {kind}.|The same, but {kind}, please.|Now {article(kind)} one.]").replace("bedtime", "sleepy").replace("mystery", "mysterious")
    return asked, tell(rng, again)


def conversation(rng: random.Random) -> list[Turn]:
    return marked_conversation(rng)[0]


def marked_conversation(rng: random.Random) -> tuple[list[Turn], tuple[str, ...]]:
    """A conversation, and the sentences in its answers that a wish for a tone decides."""
    roll = rng.random()
    if roll < 0.012:
        asked, answered = rng.choice(SMALL_TALK)
        return [("user", choose(rng, asked)), ("assistant", choose(rng, answered))], ()
    story, request, titled, ask = ask_and_tell(rng)
    body = f"{story.title}\n\n{story.text}" if titled else story.text
    if roll < 0.05:
        request = choose(rng, "[Tell me a story.|Tell me a story|A story, please.|Tell me something.|Please tell me a story.|Another one, please.]")
        return [("user", request), ("assistant", story.text)], ()
    if roll < 0.12:
        sentences = SENTENCE.split(story.text.split("\n\n")[0])
        cut = rng.randint(1, max(1, len(sentences) - 1))
        start = " ".join(sentences[:cut])
        rest = story.text[len(start) :].lstrip(" ")
        lead = choose(rng, "[Go on with this story:|Continue:|Continue this story:|How does it go on?|Finish this story:]")
        return [("user", f"{lead} {start}"), ("assistant", rest.strip())], ()
    turns = [("user", request), ("assistant", body)]
    marks = story.deciding if ask.tone else ()
    if roll > 0.88 and len(body) < 1000:
        wish, again = told_anew(rng, story, ask)
        return [*turns, ("user", wish), ("assistant", again.text)], (*marks, *again.deciding)
    if roll > 0.55 and len(body) < 1250:
        for _ in range(rng.choice((1, 1, 2))):
            kind = rng.random()
            if kind < 0.33:
                asked, answered = question(rng, story)
            elif kind < 0.72:
                asked = choose(rng, "[Describe the next picture.|Describe a picture for it in one line.|What would a picture of it show?|Describe the next picture in one line.]")
                answered = picture_line(rng, story.hero.noun, story.thing.noun, story.place.noun, story.text)
                if answered is None:
                    continue
            else:
                asked = choose(rng, "[Give it a title.|What should it be called?|Give the story a title.|A title, please.]")
                answered = story.title
            turns += [("user", asked), ("assistant", answered)]
    return turns, marks


def held_out_requests(count: int, seed: int) -> list[dict]:
    """Requests whose hero, thing and place never met in training."""
    rng, lexicon, out, seen = random.Random(seed), load(), [], set()
    while len(out) < count:
        hero, thing, place = rng.choice(lexicon.characters), rng.choice(lexicon.things), rng.choice(lexicon.places)
        key = (hero.noun, thing.noun, place.noun)
        if key in seen or not held_out(*key):
            continue
        seen.add(key)
        tone = rng.choice(TONES) if rng.random() < 0.3 and can_carry(thing) else None
        short = rng.random() < 0.2
        text = request_for(rng, hero, thing, place, None, None, "finds", tone, short, False)
        out.append({"request": text, "hero": hero.noun, "thing": thing.noun, "place": place.noun, "tone": tone, "short": short})
    return out
