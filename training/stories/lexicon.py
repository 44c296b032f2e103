"""The small world of the stories: who lives in it, what can be found, where, and when.

Plain data in lines that are easy to read and to add to; `load()` parses them once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

# noun: traits ; pronoun (h = he, s = she; where nothing is said, SHE below decides). A character has one pronoun in every story: a small
# model keeps to what is always so.
CHARACTERS = """
fox: clever, quick, curious
rabbit: shy, quick, gentle
bear: big, slow, kind
mouse: tiny, brave, careful
owl: wise, quiet, old
hedgehog: prickly, shy, patient
squirrel: busy, cheerful, restless
badger: grumpy, strong, honest
deer: graceful, timid, gentle
wolf: lonely, strong, proud
cat: lazy, proud, curious
kitten: playful, small, silly
dog: loyal, friendly, eager
puppy: playful, clumsy, eager
duck: chatty, cheerful, muddy
duckling: little, yellow, brave
goose: bossy, loud, proud
hen: fussy, busy, kind
rooster: loud, proud, early
pig: hungry, happy, muddy
cow: calm, kind, sleepy
calf: wobbly, young, curious
horse: strong, fast, faithful
pony: small, stubborn, sweet
donkey: stubborn, patient, tired
goat: hungry, cheeky, bold
sheep: woolly, nervous, gentle
lamb: woolly, small, playful
frog: green, jumpy, cheerful
toad: grumpy, slow, wise
turtle: slow, patient, calm
snail: slow, dreamy, polite
ant: hardworking, tiny, strong
bee: busy, buzzy, generous
butterfly: bright, light, dreamy
beetle: shiny, stubborn, small
spider: clever, patient, shy
ladybird: tiny, red, lucky
cricket: musical, lively, small
firefly: glowing, tiny, dreamy
worm: humble, quiet, wiggly
crow: clever, cheeky, black
sparrow: small, lively, chirpy
robin: cheerful, red-breasted, brave
swan: graceful, white, proud
pigeon: plump, grey, friendly
seagull: noisy, hungry, bold
penguin: funny, clumsy, cheerful
parrot: chatty, colourful, loud
peacock: proud, bright, vain
stork: tall, serious, helpful
lion: brave, golden, loud
lioness: strong, watchful, proud; s
tiger: striped, fierce, quiet
elephant: huge, gentle, thoughtful
giraffe: tall, shy, curious
zebra: striped, quick, funny
monkey: cheeky, clever, noisy
camel: patient, thirsty, grumpy
hippo: heavy, jolly, slow
crocodile: toothy, sly, lonely
kangaroo: bouncy, strong, cheerful
koala: sleepy, soft, slow
panda: round, hungry, gentle
raccoon: sneaky, clever, hungry
otter: playful, sleek, merry
beaver: hardworking, clever, steady
mole: short-sighted, careful, cosy
bat: shy, quick, upside-down
skunk: shy, smelly, sweet
moose: big, calm, clumsy
seal: sleek, playful, round
whale: huge, gentle, lonely
dolphin: clever, friendly, quick
crab: sideways, cautious, snappy
octopus: clever, shy, bendy
starfish: quiet, patient, pink
fish: small, silver, curious
shark: big, hungry, misunderstood
lizard: quick, green, sun-loving
snake: long, quiet, sly
hamster: round, busy, soft
guinea pig: squeaky, shy, soft
caterpillar: hungry, fuzzy, slow
girl: brave, curious, kind; s
boy: cheerful, curious, shy; h
princess: brave, stubborn, clever; s
prince: shy, polite, dreamy; h
king: old, worried, generous; h
queen: wise, stern, kind; s
baker: jolly, early, generous
farmer: hardworking, quiet, kind
fisherman: patient, weathered, hopeful; h
sailor: bold, cheerful, sunburnt
pirate: loud, fearless, funny
knight: brave, shiny, polite
wizard: old, forgetful, wise; h
witch: odd, clever, kindly; s
fairy: tiny, sparkling, helpful; s
elf: quick, small, merry
dwarf: strong, bearded, stubborn; h
giant: huge, clumsy, gentle; h
dragon: fiery, lonely, proud
unicorn: white, graceful, shy
mermaid: singing, curious, gentle; s
troll: grumpy, mossy, hungry
goblin: sneaky, small, greedy
ghost: pale, lonely, polite
robot: shiny, helpful, puzzled
snowman: round, cheerful, cold; h
scarecrow: ragged, friendly, lonely; h
grandmother: wise, warm, patient; s
grandfather: funny, slow, kind; h
postman: punctual, friendly, tired; h
gardener: patient, gentle, muddy
painter: dreamy, messy, cheerful
shepherd: quiet, watchful, young
clockmaker: careful, clever, old
astronaut: brave, calm, curious
explorer: bold, curious, dusty
inventor: clever, messy, hopeful
musician: merry, poor, gentle
teacher: patient, kind, clever
tailor: neat, quick, poor
miller: strong, dusty, honest
"""

SHE = set(
    """rabbit mouse owl squirrel deer cat kitten duck duckling goose hen cow calf pony goat sheep lamb turtle ant bee butterfly spider ladybird firefly sparrow swan seagull parrot
stork elephant giraffe zebra kangaroo koala panda otter skunk seal dolphin octopus starfish fish hamster caterpillar dragon unicorn ghost baker gardener painter astronaut inventor musician teacher
explorer""".split()
)

# category; noun: adjectives
THINGS = """
light; lantern: small, brass, glowing
light; lamp: old, dusty, golden
light; candle: white, short, flickering
light; torch: bright, heavy, red
light; star: fallen, tiny, silver
light; glow stone: blue, smooth, warm
light; crystal: clear, purple, shining
light; firework: red, forgotten, fat
light; moonbeam: thin, silver, shy
light; lighthouse lamp: huge, round, bright
food; apple: red, shiny, sweet
food; pear: green, ripe, juicy
food; plum: purple, soft, sweet
food; cherry: red, tiny, shiny
food; strawberry: wild, red, sweet
food; pumpkin: round, orange, enormous
food; carrot: long, crunchy, orange
food; turnip: huge, muddy, stubborn
food; potato: lumpy, warm, brown
food; onion: strong, white, round
food; mushroom: red, spotted, strange
food; cake: tall, pink, fresh
food; pie: hot, golden, round
food; biscuit: crumbly, sweet, round
food; bun: sticky, warm, soft
food; loaf of bread: fresh, warm, crusty
food; pancake: thin, golden, sweet
food; sandwich: big, squashed, tasty
food; lollipop: striped, sticky, red
food; chocolate bar: dark, melting, sweet
food; jar of honey: golden, sticky, heavy
food; jar of jam: red, sticky, sweet
food; pot of soup: hot, thick, steaming
food; cheese: yellow, smelly, round
food; egg: white, speckled, warm
food; nut: brown, hard, round
food; acorn: smooth, brown, tiny
food; watermelon: green, heavy, cool
food; lemon: yellow, sour, bright
food; coconut: hairy, brown, hard
food; banana: yellow, bent, ripe
food; bowl of porridge: warm, sweet, creamy
toy; ball: red, bouncy, round
toy; kite: yellow, torn, long-tailed
toy; doll: wooden, old, smiling
toy; teddy bear: brown, soft, one-eyed
toy; spinning top: painted, wooden, fast
toy; puppet: funny, wooden, floppy
toy; rocking horse: wooden, painted, creaky
toy; toy boat: little, wooden, blue
toy; toy train: red, tiny, tin
toy; marble: green, glass, round
toy; balloon: red, round, floating
toy; yo-yo: bright, wooden, blue
toy; skipping rope: long, striped, worn
toy; swing: wooden, high, creaky
toy; paper plane: white, neat, folded
toy; puzzle: difficult, wooden, old
toy; pinwheel: bright, paper, spinning
toy; hoop: big, round, rolling
toy; dice: white, lucky, small
toy; snow globe: heavy, glass, swirling
music; drum: round, loud, painted
music; flute: silver, thin, sweet
music; violin: old, brown, delicate
music; trumpet: golden, loud, shiny
music; bell: small, silver, clear
music; harp: tall, golden, soft
music; guitar: dusty, old, wooden
music; whistle: tin, tiny, loud
music; music box: tiny, silver, tinkling
music; piano: black, dusty, big
music; tambourine: jingly, round, bright
music; banjo: old, twangy, small
music; accordion: wheezy, red, squeaky
music; horn: curved, old, deep
wear; hat: tall, floppy, green
wear; scarf: long, woolly, red
wear; coat: warm, patched, blue
wear; boot: lost, muddy, left
wear; mitten: red, woolly, single
wear; glove: soft, leather, brown
wear; sock: striped, smelly, odd
wear; shoe: tiny, golden, lost
wear; cloak: dark, long, starry
wear; crown: golden, heavy, bent
wear; ring: gold, thin, shining
wear; necklace: silver, delicate, long
wear; bracelet: beaded, bright, tiny
wear; button: round, brass, shiny
wear; ribbon: blue, silk, long
wear; pair of glasses: round, cracked, thick
wear; belt: leather, wide, old
wear; mask: painted, strange, smiling
wear; dress: yellow, pretty, twirly
wear; apron: white, floury, clean
wear; helmet: iron, dented, heavy
wear; bow tie: spotted, smart, silly
book; book: thick, old, secret
book; map: torn, faded, yellow
book; letter: sealed, secret, crumpled
book; postcard: bright, bent, faraway
book; diary: locked, little, blue
book; poem: short, sad, lovely
book; photograph: faded, old, small
book; painting: small, bright, unfinished
book; drawing: funny, folded, messy
book; newspaper: wet, old, folded
book; recipe: greasy, secret, ancient
book; sign: wooden, crooked, painted
book; note: tiny, secret, mysterious
book; scroll: ancient, long, dusty
book; story book: worn, wonderful, thick
tool; key: rusty, iron, tiny
tool; hammer: heavy, wooden, old
tool; spade: sharp, muddy, small
tool; saw: rusty, long, toothy
tool; rope: long, thick, strong
tool; ladder: tall, wobbly, wooden
tool; broom: crooked, old, dusty
tool; bucket: leaky, tin, blue
tool; net: fine, tangled, green
tool; fishing rod: long, thin, bendy
tool; compass: brass, shaky, round
tool; telescope: long, brass, dusty
tool; magnifying glass: round, shiny, heavy
tool; needle: thin, sharp, silver
tool; thimble: silver, tiny, dented
tool; scissors case: leather, flat, old
tool; clock: tall, ticking, slow
tool; watch: golden, broken, tiny
tool; hourglass: glass, sandy, thin
tool; mirror: cracked, round, silver
tool; brush: soft, wide, bristly
tool; comb: wooden, fine, small
tool; pen: black, scratchy, fine
tool; pencil: short, yellow, chewed
tool; paintbrush: thin, red, soft
tool; spoon: wooden, big, worn
tool; fork: bent, silver, long
tool; kettle: whistling, copper, fat
tool; teapot: chipped, blue, round
tool; cup: cracked, little, white
tool; plate: blue, shiny, chipped
tool; frying pan: black, heavy, greasy
tool; umbrella: big, black, spotted
tool; walking stick: crooked, smooth, strong
tool; wheel: wooden, wobbly, round
tool; magnet: red, strong, bent
tool; thread: golden, thin, endless
tool; pillow: soft, fat, feathery
tool; blanket: warm, patchwork, thick
tool; rug: red, soft, worn
tool; chair: small, broken, wooden
tool; bed: tiny, cosy, wooden
tool; tent: green, small, flapping
tool; hammock: striped, swinging, soft
tool; wand: thin, crooked, magic
tool; shield: round, dented, silver
tool; sword: blunt, shining, heavy
tool; anchor: rusty, huge, heavy
tool; flag: bright, torn, waving
tool; ticket: golden, small, crumpled
box; box: wooden, locked, small
box; chest: heavy, old, locked
box; basket: round, empty, woven
box; bag: patched, heavy, lumpy
box; suitcase: brown, battered, small
box; backpack: green, stuffed, muddy
box; bottle: green, dusty, corked
box; jar: empty, glass, clear
box; pot: big, black, round
box; barrel: wooden, rolling, wide
box; drawer: hidden, stuck, tiny
box; purse: red, fat, forgotten
box; parcel: brown, mysterious, square
box; present: shiny, wrapped, small
box; sack: brown, bulging, torn
box; birdcage: golden, empty, open
box; nest: cosy, round, empty
box; treasure chest: heavy, golden, sunken
plant; flower: blue, lonely, sweet
plant; rose: red, thorny, perfect
plant; daisy: white, cheerful, tiny
plant; sunflower: tall, yellow, proud
plant; tulip: red, bright, neat
plant; seed: tiny, brown, strange
plant; leaf: golden, big, crisp
plant; branch: long, crooked, strong
plant; pine cone: brown, prickly, round
plant; clover: four-leafed, lucky, green
plant; cactus: prickly, small, green
plant; tree stump: old, mossy, wide
plant; bush: thick, green, rustling
plant; vine: long, twisting, green
plant; bean: magic, green, jumping
plant; dandelion: fluffy, white, soft
plant; wreath: green, round, pretty
plant; little tree: thin, young, crooked
nature; stone: smooth, grey, round
nature; pebble: white, shiny, tiny
nature; shell: pink, curly, pretty
nature; pearl: white, perfect, round
nature; feather: white, long, soft
nature; bone: white, tasty, long
nature; snowflake: perfect, cold, delicate
nature; icicle: long, sparkling, sharp
nature; snowball: huge, cold, round
nature; puddle: deep, muddy, wide
nature; cloud: small, lost, fluffy
nature; rainbow: bright, wide, wonderful
nature; bubble: round, shining, huge
nature; spider web: silver, dewy, delicate
nature; driftwood log: smooth, grey, floating
nature; footprint: enormous, strange, deep
nature; shadow: long, strange, dark
nature; echo: silly, faint, friendly
nature; horseshoe: lucky, rusty, iron
nature; fossil: ancient, spiral, grey
nature; coin: golden, old, heavy
nature; gem: green, sparkling, big
nature; diamond: bright, tiny, hard
nature; gold nugget: yellow, heavy, lumpy
nature; ruby: red, glowing, smooth
nature; amber bead: golden, warm, small
vehicle; boat: small, wooden, leaky
vehicle; raft: wobbly, wide, wooden
vehicle; ship: tall, grand, creaky
vehicle; canoe: narrow, green, light
vehicle; sled: fast, red, wooden
vehicle; cart: creaky, wooden, little
vehicle; wagon: red, squeaky, small
vehicle; bicycle: rusty, blue, wobbly
vehicle; scooter: silver, fast, small
vehicle; train: long, steaming, green
vehicle; bus: yellow, noisy, empty
vehicle; tractor: red, slow, muddy
vehicle; car: tiny, green, rattling
vehicle; rocket: silver, pointed, tall
vehicle; hot-air balloon: striped, huge, gentle
vehicle; aeroplane: small, red, noisy
vehicle; submarine: yellow, round, deep
vehicle; flying carpet: dusty, magic, red
vehicle; carriage: golden, grand, old
vehicle; pair of skates: silver, sharp, quick
build; bridge: narrow, wooden, shaky
build; door: tiny, green, secret
build; gate: rusty, iron, tall
build; well: deep, old, mossy
build; fountain: dry, stone, pretty
build; statue: stone, sad, mossy
build; tree house: hidden, high, wooden
build; windmill: white, creaky, tall
build; sandcastle: tall, crumbling, grand
build; snow fort: white, strong, round
build; scarecrow hat: straw, wide, holey
build; bench: stone, lonely, cold
build; chimney: tall, smoky, crooked
build; tower: thin, grey, high
build; fence: white, broken, long
build; mailbox: red, rusty, round
build; signpost: crooked, old, wooden
build; stepping stone: flat, slippery, wide
build; campfire: warm, crackling, bright
build; tunnel: dark, narrow, long
build; staircase: spiral, secret, stone
"""

# phrase | noun phrase | what is seen, heard or felt there (sentences separated by /)
PLACES = """
in the snow | the snow | Everything was white and quiet. / Snowflakes drifted down like feathers. / Each step made a soft crunch.
in the forest | the forest | Tall trees whispered overhead. / Leaves rustled under every step. / The light came down green between the branches.
in the meadow | the meadow | Grasshoppers sang in the tall grass. / Flowers nodded in the breeze. / Butterflies danced over the clover.
on the beach | the beach | Waves rolled softly over the sand. / The air smelled of salt. / Gulls cried high above.
by the river | the river | The water bubbled over the stones. / Reeds swayed along the bank. / Little fish flashed in the shallows.
by the lake | the lake | The water lay still as glass. / A thin mist hung over the water. / Ripples ran out from the shore.
by the sea | the sea | The waves went in and out like breathing. / The wind tasted of salt. / Far away, a ship's bell rang.
by the pond | the pond | Lily pads floated on the water. / Dragonflies zipped over the pond. / A frog plopped into the water.
on the mountain | the mountain | The wind was thin and cold. / Clouds drifted below the path. / The whole valley lay far beneath.
on the hill | the hill | Grass rolled down on every side. / You could see for miles. / The wind combed the grass.
in the valley | the valley | The hills stood all around like sleepy giants. / A stream wandered through the fields. / Sheep bells tinkled far away.
in the desert | the desert | Sand stretched as far as the eye could see. / The air shook with heat. / The dunes were gold and silent.
in the jungle | the jungle | Vines hung down like ropes. / Bright birds screeched in the treetops. / The air was warm and wet.
in the garden | the garden | Bees hummed among the flowers. / The beans climbed up their poles. / The air smelled of mint and roses.
in the orchard | the orchard | The branches were heavy with fruit. / Wasps buzzed over the fallen plums. / Sunlight spotted the grass.
on the farm | the farm | Hens scratched in the yard. / The barn smelled of hay. / A tractor hummed far away.
in the barn | the barn | The hay was warm and sweet. / Dust danced in the sunbeams. / The old boards creaked.
in the village | the village | Smoke curled from the chimneys. / Neighbours chatted over the fences. / The church bell rang.
in the city | the city | Cars hummed and windows glowed. / People hurried this way and that. / The tall houses leaned together.
in the market | the market | The stalls were piled with fruit. / Everyone shouted at once. / It smelled of spice and fresh bread.
in the castle | the castle | The halls were long and full of echoes. / Old flags hung from the walls. / Armour gleamed in the corners.
in the tower | the tower | The stairs went round and round. / Pigeons cooed on the window sill. / The wind whistled through the cracks.
in the cave | the cave | Water dripped in the dark. / Every sound came back as an echo. / The walls sparkled a little.
in the attic | the attic | Cobwebs hung from the beams. / Boxes were stacked up to the roof. / Dust lay over everything.
in the cellar | the cellar | It smelled of earth and apples. / Shadows sat in every corner. / The steps were cold and steep.
in the kitchen | the kitchen | Something good was cooking. / Pots shone in a row. / The stove ticked as it warmed.
in the library | the library | Books stood in rows up to the ceiling. / It was so quiet that you could hear a page turn. / The lamps made small pools of light.
at the school | the school | Chalk dust floated in the light. / Coats hung in a crooked row. / Laughter came from the playground.
in the park | the park | Children ran between the trees. / The fountain splashed. / A brass band was playing.
in the playground | the playground | The swings creaked to and fro. / The slide was hot from the sun. / Somebody had drawn a sun in chalk.
on the island | the island | Palm trees leaned over the sand. / The sea lay blue on every side. / There was not another footprint anywhere.
on the ship | the ship | The sails snapped in the wind. / The deck rocked up and down. / Ropes creaked all around.
at the harbour | the harbour | Boats bumped against the wall. / Nets were drying in the sun. / It smelled of fish and tar.
under the sea | the sea | Seaweed waved like slow green hair. / Bubbles rose up in silver strings. / Everything was blue and hushed.
in the swamp | the swamp | Mud squelched at every step. / Mist curled over the dark water. / Something went plop among the reeds.
under the bridge | the bridge | The river gurgled between the stones. / It was cool and shady there. / Footsteps drummed overhead.
on the road | the road | The dust rose up in little clouds. / The milestones went by one after another. / A cart had left two deep tracks.
at the crossroads | the crossroads | Four roads ran off to four far places. / An old signpost creaked. / Nobody else was about.
in the field | the field | The wheat rippled like water. / Poppies dotted the grass. / A lark sang high in the blue.
in the cornfield | the cornfield | The corn stood taller than a man. / Dry leaves scratched in the wind. / Crows watched from the fence.
in the moonlight | the moonlight | Everything shone silver. / Shadows lay long and blue. / The night was holding its breath.
in the rain | the rain | Drops drummed on every leaf. / Puddles shivered on the path. / The gutters sang.
in the fog | the fog | The whole world had turned grey and soft. / Nothing could be seen beyond ten steps. / Every sound seemed far away.
in the storm | the storm | The wind howled and tugged. / Thunder rolled over the hills. / Lightning lit up the clouds.
on the ice | the ice | The ice creaked and sang. / Everything was smooth and bright. / The cold nipped at every nose.
in the mountains | the mountains | White peaks stood against the sky. / An eagle turned slow circles. / The stones were cold as iron.
on the moon | the moon | The ground was grey as ash. / The earth hung above like a blue ball. / There was no sound at all.
in space | space | Stars burned in every direction. / A comet drifted by. / It was wide and dark and silent.
in the clouds | the clouds | Everything was soft and white. / Far below, the fields looked like a quilt. / The wind carried tiny drops.
in the old mill | the old mill | The wheel turned slowly. / Flour lay on every beam. / The mill stones grumbled.
in the lighthouse | the lighthouse | The stairs wound up and up. / Waves boomed on the rocks. / The great lamp turned in the dark.
in the bakery | the bakery | It smelled of warm bread. / Flour floated in the air. / Trays of buns were cooling.
in the toy shop | the toy shop | Puppets hung in the window. / A little train ran round and round. / Teddy bears sat in rows.
in the museum | the museum | Old bones stood in glass cases. / Steps echoed on the marble floor. / Paintings watched from the walls.
at the circus | the circus | A drum rolled in the big tent. / Everything smelled of popcorn. / Bright flags flapped.
at the fair | the fair | Lights twinkled on the big wheel. / Music came from every side. / Somebody was laughing.
at the train station | the train station | Steam hissed along the platform. / A whistle blew. / The big clock ticked.
on the roof | the roof | The tiles were still warm. / Chimneys stood all around. / The stars seemed very close.
under the old oak | the old oak | Acorns lay all about. / The great branches creaked. / The roots made little caves.
by the waterfall | the waterfall | The water roared and sparkled. / A rainbow hung in the spray. / The rocks were wet and green.
in the vineyard | the vineyard | Grapes hung dark and sweet. / The rows ran straight down the slope. / Starlings chattered.
at the edge of the woods | the woods | Ferns grew thick beside the path. / The trees began all at once. / A woodpecker was knocking.
in the hollow tree | the hollow tree | It was dry and snug inside. / It smelled of old wood. / A little light came in at the top.
by the campfire | the campfire | Sparks flew up into the dark. / The logs crackled. / Everyone's face was gold.
on the train | the train | The wheels sang on the rails. / Fields flew past the window. / The carriage rocked gently.
in the palace garden | the palace garden | The hedges were cut into animals. / White gravel crunched on the paths. / Roses climbed over the walls.
"""

NAMES_HE = """Pip Toby Oswin Bram Felix Hugo Milo Jasper Finn Otto Rufus Barney Leo Max Oscar Tom Ben Sam Theo Hector Basil Alfie Gus Ned Rollo Monty Archie Dusty Bruno Casper
Digby Edgar Fergus Gilbert Henry Igor Jonas Kit Linus Magnus Nico Olaf Percy Quentin Ralph Stan Tuck Vito Wilbur Ziggy""".split()
NAMES_SHE = """Lily Mina Rosie Daisy Hazel Ivy Clara Nell Poppy Tilly Wren Ada Bella Cora Dora Elsie Fern Greta Hattie Iris Juno Kiki Luna Maple Nora Olive Pearl Queenie Ruby Stella
Tess Una Violet Willa Yara Zoe Amber Birdie Coco Della Esme Flora Gigi Hope Ines Josie Lottie Mabel Nina Opal""".split()

# opening phrase that sets the time of day
TIMES = """One morning | One bright morning | Early one morning | One chilly morning | One afternoon | One warm afternoon | One lazy afternoon | One evening | One quiet evening | Late one evening
One night | One starry night | One dark night | One summer day | One winter day | One spring day | One autumn day | One windy day | One rainy day | One sunny day | One snowy day | At dawn one day
At sunset one day | One day | One fine day | One grey day | On the first day of spring | On the longest day of summer | On the last day of winter | One Sunday""".replace("\n", " | ").split(" | ")

WEATHER = """The sun was shining. | A soft wind was blowing. | The sky was as blue as could be. | Clouds hurried across the sky. | It had rained all night. | The air was cold and clear. | A light rain was falling.
The wind was playing with the leaves. | It was very hot. | A little mist lay on the ground. | The first stars were coming out. | The moon was round and bright. | It smelled like rain. | Not a leaf was moving.
The sky was pink and gold. | Frost glittered everywhere. | Thunder grumbled far away. | The day was warm and still. | The sun was just going down. | Birds were singing.""".replace("\n", " | ").split(" | ")

# What the thing is like (D) and what it was good for in the end (U), by category. {t} = "the lamp".
CATEGORY = {
    "light": {
        "D": "[It glowed softly.|A warm light came from {t}.|{T} shone like a little sun.|It made a small circle of light on the ground.]",
        "U": "[That night {t} lit the whole way home.|From then on nobody was afraid of the dark.|The light could be seen from far away, and everyone who was lost found the way.|{T} shone in the window every night after that.]",
    },
    "food": {
        "D": "[It smelled delicious.|It looked so good that {c}'s tummy rumbled.|{C} could almost taste it.|{His} mouth began to water.]",
        "U": "[They ate it together, and not a crumb was left.|It was the best supper that anyone could remember.|Everybody had a little piece, and it tasted better for being shared.|With a full tummy, {c} fell fast asleep.]",
    },
    "toy": {
        "D": "[It looked like so much fun.|{C} wanted to play with it at once.|Somebody must have loved {t} very much.|It was a little worn, but it still worked.]",
        "U": "[They played with it until the sun went down.|After that they took turns, and there was never a quarrel.|Every day they played a new game with it.|{T} had never been so happy either, if such a thing can be happy.]",
    },
    "music": {
        "D": "[When {c} touched it, it made a lovely sound.|A single note hung in the air.|It was silent, as if it waited for a song.|It gave a small, clear sound.]",
        "U": "[And they made music until the stars came out.|Everyone who heard it began to dance.|The song was heard far and wide.|From then on there was music every evening.]",
    },
    "wear": {
        "D": "[It looked as if it would fit.|{C} tried it on at once.|It was finer than anything {c} had ever worn.|{C} wondered who had worn it before.]",
        "U": "[It fitted perfectly after all.|{He} wore it every day after that.|And how splendid it looked!|It kept somebody warm all winter long.]",
    },
    "book": {
        "D": "[There was something written on it.|{C} looked at it for a long time.|It seemed to hold a secret.|The edges were soft with age.]",
        "U": "[They looked at it again and again, and it was new every time.|It hung on the wall for many years.|And so the secret was kept, and shared only by friends.|Somebody reads it still, on winter evenings.]",
    },
    "tool": {
        "D": "[It looked very useful.|It was old, but it was well made.|{C} turned it over and over.|{C} wondered what it was for.]",
        "U": "[It came in handy every day after that.|They never knew how they had managed without it.|It was put in a safe place, where everyone could use it.|And it works to this very day.]",
    },
    "box": {
        "D": "[What could be inside?|{C} gave it a little shake.|It was heavier than it looked.|Something inside went rattle, rattle.]",
        "U": "[They filled it with good memories, one by one.|It stands by the door to this day.|And what was inside was just enough for everyone.|They kept their best secrets in it after that.]",
    },
    "plant": {
        "D": "[It smelled fresh and green.|It trembled a little in the wind.|Nothing like it grew anywhere near.|A drop of dew sat on it like a pearl.]",
        "U": "[And it grew, and grew, and grew.|Next spring there were a hundred more.|Every visitor stopped to look at it.|It was watered every day, and never lonely again.]",
    },
    "nature": {
        "D": "[It sparkled a little.|{C} had never seen one so fine.|It felt strange and wonderful.|It seemed to have come from far away.]",
        "U": "[It was the most beautiful thing that they had ever kept.|It brought them luck for many years.|Whenever they looked at it, they remembered that day.|And it sparkled more than ever.]",
    },
    "vehicle": {
        "D": "[It looked ready to go.|{C} climbed in at once.|It was just the right size.|{C} had always dreamed of a ride.]",
        "U": "[Off they went together, faster than the wind.|They travelled far, and came home in time for supper.|It carried them on many more adventures.|What a ride that was!]",
    },
    "build": {
        "D": "[It had not been there yesterday.|Nobody seemed to own it.|{C} walked all the way around it.|It looked a hundred years old.]",
        "U": "[It is still there today, and friends meet there.|They looked after it, and it lasted a hundred years.|It became their favourite place in the world.|Everybody for miles around came to see it.]",
    },
}


@dataclass(frozen=True)
class Character:
    noun: str
    traits: tuple[str, ...]
    pronoun: str  # "he" or "she"


# who else a bare beginning may be about; nobody is asked about them
PEOPLE = tuple(
    Character(noun, ("kind", "poor", "clever", "old", "tired", "cheerful"), pronoun)
    for noun, pronoun in (("man", "he"), ("woman", "she"), ("old man", "he"), ("old woman", "she"), ("child", "he"), ("mother", "she"), ("father", "he"), ("lady", "she"), ("lord", "he"), ("brother", "he"), ("sister", "she"), ("hunter", "he"), ("soldier", "he"), ("doctor", "she"), ("cook", "he"))
)
CHILDREN = tuple(
    Character(noun, ("happy", "kind", "curious", "brave", "small", "shy", "clever"), pronoun)
    for noun, pronoun in (("little girl", "she"), ("little girl", "she"), ("girl", "she"), ("little boy", "he"), ("little boy", "he"), ("boy", "he"), ("child", "he"))
)


@dataclass(frozen=True)
class Thing:
    noun: str
    adjectives: tuple[str, ...]
    category: str


@dataclass(frozen=True)
class Place:
    phrase: str
    noun: str
    senses: tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    characters: tuple[Character, ...]
    things: tuple[Thing, ...]
    places: tuple[Place, ...]


@lru_cache(maxsize=1)
def load() -> Lexicon:
    characters = []
    for line in CHARACTERS.strip().splitlines():
        noun, rest = line.split(": ")
        traits, _, pronoun = rest.partition("; ")
        characters.append(Character(noun, tuple(traits.split(", ")), {"h": "he", "s": "she", "": "she" if noun in SHE else "he"}[pronoun]))
    things = []
    for line in THINGS.strip().splitlines():
        category, rest = line.split("; ")
        noun, adjectives = rest.split(": ")
        things.append(Thing(noun, tuple(adjectives.split(", ")), category))
    places = []
    for line in PLACES.strip().splitlines():
        phrase, noun, senses = line.split(" | ")
        places.append(Place(phrase, noun, tuple(senses.split(" / "))))
    for kind in (characters, [t for t in things], places):
        names = [x.phrase if isinstance(x, Place) else x.noun for x in kind]
        if len(set(names)) != len(names):
            raise ValueError(f"twice in the lexicon: {sorted({n for n in names if names.count(n) > 1})}")
    return Lexicon(tuple(characters), tuple(things), tuple(places))


def article(phrase: str) -> str:
    """ "lantern" -> "a lantern", "old owl" -> "an old owl"."""
    sounds_like_consonant = phrase.startswith(("unicorn", "useful", "one-", "one "))
    return ("an " if phrase[0] in "aeiou" and not sounds_like_consonant else "a ") + phrase
