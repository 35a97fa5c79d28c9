"""Generate the embedded film reviews: 1,000 labelled ones, 3,000 unlabelled and 60 new ones.

The labelled file has the schema of the lesson's ``imdb_sample``, ``label,text,is_valid``, and one
column more, ``magazine``: where the review was printed, a second thing to classify. The unlabelled
file (column ``text``) plays the part of IMDB's unsupervised reviews; the new ones (``id,text``,
the last without a word) are there to be classified by the finished model.

What makes the sample useful is its lexicon. Some 450 evaluative words and idioms per polarity are
drawn from a long-tailed distribution, so most of them are rare or absent in the 800 labelled
training reviews, yet in all the texts together they keep company with others of their kind:
coordinated adjectives share their polarity and "but" turns it (Hatzivassiloglou & McKeown 1997),
and a reviewer, who has one of three circles of words for praise and one of three for blame, keeps
to it. Three magazines share the reviewers by the circle in which they speak their mind. A language
model learns that company without labels; what remains for the labels to tell is which circles are
praise. Both polarities use the same sentence patterns: only the choice of words, negation and
contrast tell them apart.

The same seed gives the same bytes: only ``random.Random.random`` is used, whose sequence Python
guarantees.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import re
from bisect import bisect
from collections.abc import Collection, Sequence
from itertools import accumulate
from pathlib import Path

LABELS = ("negative", "positive")
MAGAZINES = ("lantern", "matinee", "reel")
"""Each prints those who praise in one of the circles of words for it, or blame in one of those."""
N_TRAIN, N_VALID, N_UNSUPERVISED, N_NEW = 800, 200, 3000, 60
WRONG_LABELS = 0.04
"""Share of labelled reviews that carry the other label, as careless annotators would leave it."""


def words(text: str) -> tuple[str, ...]:
    """Split a comma-separated list that runs over several lines, keeping each entry once."""
    return tuple(
        dict.fromkeys(entry for raw in text.split(",") if (entry := " ".join(raw.split())))
    )


# --- What tells the polarities apart. Every list runs from frequent to rare. --------------------

ADJECTIVES = {
    1: words("""
        good, great, funny, wonderful, beautiful, brilliant, touching, excellent, charming,
        gripping, clever, lovely, superb, enjoyable, powerful, fresh, moving, delightful,
        hilarious, stunning, riveting, witty, subtle, warm, inventive, elegant, absorbing, tender,
        masterful, heartfelt, captivating, compelling, dazzling, endearing, enchanting, engaging,
        engrossing, exhilarating, exquisite, fascinating, flawless, gorgeous, graceful,
        gratifying, haunting, heartwarming, honest, humane, imaginative, immaculate, impeccable,
        impressive, ingenious, insightful, inspired, intelligent, intoxicating, invigorating,
        irresistible, joyous, jubilant, lavish, likeable, lucid, luminous, lush, lyrical, magical,
        magnetic, magnificent, marvellous, meaningful, memorable, mesmerising, nimble, nuanced,
        observant, original, outstanding, perceptive, perfect, playful, pleasing, poetic,
        poignant, polished, precise, priceless, profound, radiant, ravishing, refined, refreshing,
        remarkable, resonant, rewarding, robust, rollicking, rousing, satisfying, savvy, searing,
        seductive, sensational, sensitive, shrewd, sincere, sly, soulful, sparkling, spectacular,
        spellbinding, splendid, spirited, sprightly, stately, stellar, stirring, stylish, sublime,
        sumptuous, supple, suspenseful, sweet, taut, terrific, thoughtful, thrilling, timeless,
        transcendent, transfixing, truthful, unforgettable, uplifting, vibrant, virtuosic, vivid,
        whimsical, wise, wondrous, zesty, admirable, adorable, affecting, agile, alluring,
        amusing, artful, assured, astute, atmospheric, beguiling, bewitching, blissful, bracing,
        breathtaking, breezy, buoyant, celestial, cheering, commanding, consummate, convincing,
        crisp, daring, deft, delicious, dignified, disarming, droll, dynamic, ebullient, ecstatic,
        effervescent, electrifying, eloquent, enthralling, entrancing, evocative, exemplary
    """),
    -1: words("""
        bad, boring, terrible, awful, dull, predictable, silly, weak, horrible, stupid, poor,
        lame, annoying, slow, bland, pointless, clumsy, shallow, tedious, ridiculous, dreadful,
        wooden, tired, lazy, flat, cheap, messy, forgettable, lifeless, contrived, insipid,
        atrocious, abysmal, absurd, aimless, amateurish, anaemic, appalling, arid, arthritic,
        asinine, baffling, banal, barren, bloated, blundering, botched, brainless, butchered,
        cack-handed, careless, charmless, cheesy, chintzy, choppy, cloying, clunky, cluttered,
        coarse, colourless, condescending, confused, convoluted, corny, crass, creaky,
        cringeworthy, crude, cynical, dated, deadening, derivative, desperate, dim, dire,
        disastrous, disheartening, dishonest, disjointed, dismal, dispiriting, distasteful, dopey,
        dour, drab, dreary, drowsy, embarrassing, empty, endless, excruciating, exhausting, fake,
        farcical, fatuous, feeble, flabby, flaccid, flavourless, flimsy, foolish, formulaic,
        frustrating, futile, garbled, garish, generic, ghastly, gimmicky, glib, gloomy, graceless,
        grating, gruelling, hackneyed, half-baked, ham-fisted, haphazard, hapless, heartless,
        heavy-handed, hideous, hokey, hollow, hopeless, humdrum, humourless, idiotic, ill-judged,
        implausible, inane, incoherent, incompetent, inept, inert, infantile, inferior,
        infuriating, insufferable, insulting, interminable, irksome, irritating, jarring, joyless,
        juvenile, laboured, lacklustre, laughable, leaden, lethargic, limp, listless, lousy,
        ludicrous, lukewarm, lumbering, maddening, manipulative, maudlin, mawkish, meandering,
        mechanical, mediocre, mindless, miscast, miserable, misguided, moronic, muddled, mundane,
        murky, nauseating, nonsensical, numbing, obnoxious, obvious, oafish, overblown, overlong
    """),
}

ADVERBS = {  # manner: "beautifully shot"
    1: words("""
        beautifully, perfectly, superbly, brilliantly, wonderfully, cleverly, skilfully,
        gracefully, expertly, elegantly, masterfully, lovingly, deftly, crisply, exquisitely,
        artfully, tenderly, immaculately, inventively, lavishly, gorgeously, intelligently,
        sensitively, sharply, stylishly, convincingly, precisely, subtly, vividly, nimbly,
        imaginatively, magnificently, delicately, flawlessly, wittily, handsomely, ingeniously,
        economically, generously, shrewdly, sumptuously, impeccably, tautly, gloriously,
        faultlessly, poetically, marvellously, fearlessly, adroitly, affectionately, astutely,
        dexterously, evocatively, honestly, joyfully, luminously, richly, spiritedly, splendidly,
        tastefully, thoughtfully, warmly
    """),
    -1: words("""
        badly, poorly, terribly, horribly, clumsily, lazily, sloppily, carelessly, woodenly,
        awkwardly, stiffly, hastily, ineptly, crudely, drearily, flatly, shoddily, limply,
        cheaply, incoherently, listlessly, dreadfully, cynically, feebly, amateurishly, artlessly,
        blandly, atrociously, haphazardly, heavily, hopelessly, mechanically, monotonously,
        murkily, pompously, ponderously, unimaginatively, appallingly, abysmally, charmlessly,
        chaotically, coarsely, confusingly, creakily, dismally, garishly, gracelessly, idly,
        incompetently, lifelessly, mawkishly, messily, miserably, predictably, pretentiously,
        shakily, sluggishly, tediously, timidly, unconvincingly, wretchedly, tonelessly
    """),
}

NOUNS = {  # "a wonderful {gem}"
    1: words("""
        gem, masterpiece, delight, triumph, joy, treat, classic, winner, pleasure, marvel,
        treasure, success, wonder, knockout, charmer, revelation, feast, stunner, crowd-pleaser,
        keeper, jewel, tour de force, tonic, blast, beauty, landmark, miracle, hoot, breath of
        fresh air, pearl, thrill, home run, bullseye, love letter, thing of beauty, labour of
        love, rare find, standout, slam dunk, wild ride, high point, benchmark, godsend, lark,
        hymn to life, balm, dream, bonanza, heartbreaker, nail-biter, piece of magic, work of art,
        quiet stunner, diamond, firecracker, five-course meal, happy surprise, instant favourite,
        milestone, ray of sunshine, rhapsody, showstopper, sleeper hit, small miracle, tearjerker,
        victory, whirlwind, wow
    """),
    -1: words("""
        mess, disaster, waste, failure, bore, disappointment, letdown, flop, chore, dud, slog,
        stinker, turkey, embarrassment, misfire, train wreck, snoozefest, clunker, fiasco,
        shambles, travesty, catastrophe, mistake, blunder, muddle, nightmare, cash grab, lemon,
        insult, headache, ordeal, eyesore, debacle, hack job, sham, drag, mishmash, cheat,
        swindle, misstep, washout, calamity, botch, bungle, car crash, dead end, dog's dinner,
        damp squib, endurance test, fraud, hash, junkyard, lost cause, non-event, pile of clichés,
        punishment, rip-off, sedative, shipwreck, sleeping pill, sinking ship, trudge, vacuum,
        walk through mud, wet blanket, wreck, yawn
    """),
}

FILM_VERBS = {  # "the film {works}"
    1: words("""
        works, shines, sparkles, sings, earns every laugh, keeps you guessing, lingers for days,
        crackles, soars, hits every note, rewards patience, flies by, holds together, keeps its
        nerve, glows, wins you over, breathes, gets under your skin, dares to be different, never
        loses its grip, deserves an audience, delivers, takes your breath away, grows richer by
        the minute, bubbles over, bursts with ideas, casts a spell, fizzes, gathers force, hums
        with life, has a huge heart, improves on every viewing, knows its craft, lifts the
        spirits, pulls you in, radiates warmth, respects its audience, ripples with wit, swells
        the heart, strikes gold, tugs at the heart, surprises at every turn, trusts the viewer,
        pays off, dances, sticks the landing, stays with you, enthrals, blossoms, ticks like a
        Swiss watch
    """),
    -1: words("""
        fails, drags, falls apart, goes nowhere, limps along, collapses, runs out of ideas,
        sputters, wears out its welcome, tests your patience, falls flat, stumbles, sinks, bores
        to tears, wastes its cast, misses every mark, loses the thread, insults the viewer,
        outstays its welcome, plods, fizzles out, grates, creaks, cheats, crumbles, crawls, dies
        on the screen, drowns in syrup, forgets its own plot, gasps for air, grinds to a halt, has
        no pulse, leaks tension, lurches about, nags, offers no reward, piles up clichés, rambles,
        reeks of compromise, rings false, shrivels, stalls, squanders its premise, strains for
        effect, stagnates, talks down to us, trips over itself, unravels, wilts, withers
    """),
}

ACTOR_VERBS = {  # "Ada Lindqvist {shines} as a {baker}"
    1: words("""
        shines, dazzles, excels, steals every scene, owns the screen, charms, lights up the
        screen, disappears into the part, breaks your heart, amazes, gives a career best, finds
        real depth, impresses, is a joy to watch, is perfectly cast, commands attention, radiates
        charisma, outdoes everyone, proves a natural, brings true grace, hits the bull's eye,
        makes magic, smoulders, triumphs, brims with life, captivates, has us all in the palm of
        one hand, reaches new heights, never puts a foot wrong, nails it, delights, enchants
    """),
    -1: words("""
        overacts, mumbles, sleepwalks, flounders, phones it in, struggles, hams it up, looks lost,
        is hopelessly miscast, misses the point, chews the scenery, looks bored, goes through the
        motions, gives a career low, has no charisma, is painful to watch, annoys, sulks, shouts
        every line, embarrasses everyone, fumbles, proves a liability, recites, sinks without
        trace, stares blankly, wears one expression, whines, smirks, bumbles, is out of depth,
        misjudges the tone, grimaces
    """),
}

FEELINGS = {  # "I left the cinema {moved}"
    1: words("""
        happy, smiling, moved, delighted, thrilled, in tears of joy, grinning, elated, inspired,
        spellbound, charmed, uplifted, amazed, impressed, humming, refreshed, breathless,
        awestruck, overjoyed, enlightened, hopeful, entranced, giddy, exhilarated, enraptured,
        bowled over, cheered up, comforted, walking on air, energised, beaming, gobsmacked,
        floating, in high spirits
    """),
    -1: words("""
        bored, angry, disappointed, annoyed, cold, tired, numb, irritated, exhausted, cheated,
        half asleep, drained, frustrated, fuming, yawning, insulted, baffled, depressed, robbed,
        in a foul mood, weary, deflated, disgusted, exasperated, grumpy, nauseous, appalled,
        aghast, with a headache, unmoved, disheartened, dozing, seething, mortified
    """),
}

ADVICE = {  # complete clauses, used by few reviews
    1: words("""
        see it soon, tell your friends, bring a handkerchief and enjoy, I want to see it again
        tomorrow, buy the disc, it belongs on your shelf, do yourself a favour and go, treat
        yourself, my new favourite, two thumbs up, bravo, hats off, more of this please, worth
        every penny, catch it while you can, I could not look away, I laughed until it hurt, give
        these people a prize, what a night out, it made my week, I was glued to my seat
    """),
    -1: words("""
        avoid it, save your money, stay at home, warn your friends, skip it, I want my money back,
        watch paint dry instead, read a book instead, run away, do not bother, two thumbs down,
        two hours I will never get back, I walked out, never again, burn the negative, shame on
        everyone involved, somebody should apologise, I kept checking my watch, worth nobody's
        time, I fell asleep twice, even the popcorn had more depth
    """),
}

EMOJI = {1: words("😀, 👍, ❤️, 😍, 🎉, 🤩"), -1: words("😡, 👎, 😴, 🙄, 💩, 😤")}

# --- What both share ---------------------------------------------------------------------------

FIRST = words("""
    Ada, Bruno, Clara, Dario, Edith, Felix, Greta, Hugo, Ines, Jonas, Karin, Leon, Mara, Nils,
    Olga, Paul, Rosa, Stefan, Tilda, Ugo, Vera, Walter, Yara, Zeno, Amina, Björn, Chiara, Dmitri,
    Elena, Farid, Gwen, Hiro, Ivan, Joana, Kofi, Lucía, Mateo, Nadia, Omar, Priya, Quentin, Renée,
    Sofia, Tariq, Uma, Viktor, Wanda, Ximena, Yusuf, Zoë
""")
LAST = words("""
    Lindqvist, Marchetti, Okafor, Brandt, Delacroix, Hayashi, Kowalski, Novak, Ferreira, Sandoval,
    Whitlock, Ashdown, Baptiste, Castellan, Drummond, Eriksen, Fontaine, Galloway, Haldane,
    Ibarra, Jankowski, Keller, Lamar, Moreau, Nakata, Oduya, Pemberton, Quiroga, Rasmussen,
    Sorensen, Tanaka, Ullman, Vasquez, Winslow, Yilmaz, Zeller, Abernathy, Bellweather, Corrigan,
    Dunmore, Engel, Farrow, Grimaldi, Hartnell, Iwasaki, Jessop, Kaplan, Lorimer, McAllister,
    Navarro
""")
GENRES = words("""
    comedy, thriller, drama, western, musical, horror film, romance, documentary, war film,
    mystery, science-fiction film, family film, road movie, crime story, fantasy, spy film,
    biopic, satire, sports film, silent film, animated film, heist film, period piece, ghost story
""")
ROLES = words("""
    baker, retired detective, lighthouse keeper, young widow, piano teacher, taxi driver, chess
    champion, nurse, smuggler, night watchman, violin maker, runaway princess, country doctor,
    bankrupt banker, schoolteacher, sea captain, jazz singer, astronaut, beekeeper, librarian,
    private eye, ballet dancer, mountain guide, burglar, journalist, train conductor, tailor,
    mayor, card sharp, war photographer, gardener, clockmaker, lawyer, circus acrobat, fisherman,
    novelist
""")
PLOTS = words("""
    inherits a house on the coast, loses a suitcase full of letters, falls for a stranger on a
    train, finds a body in the cellar, must cross the desert in three days, returns to the village
    after twenty years, pretends to be someone else, plans one last robbery, raises a child alone,
    discovers an old map, is blamed for a fire, wins a lottery and tells nobody, searches for a
    lost brother, hears voices in the walls, joins a travelling theatre, learns to fly, witnesses
    a murder, moves to the big city, saves a wounded wolf, wakes up with no memory, writes to a
    dead poet, fights a corrupt mayor, opens a restaurant, adopts a stray dog, is sent to the
    front, hides a refugee, marries the wrong twin, builds a machine that talks, crosses the ocean
    on a raft, takes a job at a haunted hotel, receives a phone call from the future, sells the
    family farm
""")
PLACES = words("""
    Lisbon, Marseille, a small town in Ohio, Vienna, the Scottish islands, Buenos Aires, Kyoto,
    the Alps, Naples, Cairo, a mining town, New Orleans, Prague, the far north, Istanbul, Chicago,
    the suburbs, a monastery, Bombay, Helsinki, a sleepy harbour, Berlin, Dublin, Havana
""")
ASPECTS = words("""
    the script, the acting, the dialogue, the music, the ending, the plot, the camera work, the
    pacing, the direction, the humour, the first half, the second half, the editing, the opening
    scene, the final act, the love story, the supporting cast, the photography, the set design,
    the soundtrack, the costumes, the lead performance, the story, the finale, the voice-over, the
    production, the lighting, the chase through the market, the courtroom scene, the wedding
    scene, the narration
""")
PARTICIPLES = words("""
    written, shot, acted, directed, edited, paced, lit, staged, told, scored, cast, plotted,
    filmed, choreographed, constructed, photographed
""")
INTENSIFIERS = words("""
    very, really, so, quite, truly, thoroughly, utterly, absolutely, simply, completely,
    remarkably, rather, downright, frankly, sooo, soooo, REALLY, SO, just plain, incredibly,
    decidedly
""")
RELATIVES = words("""
    my brother, my wife, my husband, a colleague, my neighbour, my mother, the critic of our local
    paper, my best friend, everyone at work, my flatmate, the usher, my teenage daughter, my
    grandfather
""")
TITLE_FIRST = words("""
    Silent, Crimson, Last, Seventh, Paper, Winter, Northern, Glass, Hidden, Wandering, Copper,
    Midnight, Borrowed, Distant, Forgotten, Salt, Second, Burning, Velvet, Iron
""")
TITLE_LAST = words("""
    Harbour, Orchard, Letter, Station, Garden, Witness, River, Clock, Bridge, Circus, Kingdom,
    Window, Summer, Passenger, Lantern, Island, Promise, Mirror, Carnival, Road
""")


# --- Sentence patterns, the same for both polarities --------------------------------------------
# {adjective+} is drawn from the side that the sentence takes, {adjective-} from the other one;
# {a noun+} puts the article before it. Names without a sign have no polarity.

PLOT_PATTERNS = (
    "{star} plays {a role} who {plot} in {place}",
    "set in {place}, it follows {a role} ({star}) who {plot}",
    "the story: {a role} {plot}, meets {a role} and {plot}",
    "it is {year}, and {a role} from {place} {plot}",
)
CONTEXT_PATTERNS = (
    "I saw this {genre} at a festival in {place}",
    '"{title}" is {a genre} from {year} by {director}',
    "{director} made this {genre} in {year}",
    '"{title}" came on late last night, so I watched it with {relative}',
    "{relative} gave me the disc of this {genre} from {year}",
    'last week I finally got round to "{title}" ({year})',
    "this is the {ordinal} film by {director}",
)
OPINION_PATTERNS = (
    "{aspect} is {pair+}",
    "{aspect} is {pair+}, and {aspect} is {strong+}",
    "I found {aspect} {pair+}",
    "{star} {actor_verb+}, and {partner} is {strong+} as {a role}",
    "it is {adverb+} {made}, and the film {film_verb+}",
    "{adverb+} {made} and {adverb+} {made}, it {film_verb+}",
    "what {a noun+}, and how {adjective+}!",
    "{partner} {actor_verb+} from start to finish, and {aspect} {film_verb+}",
    "when the lights came on I was {feeling+} and {feeling+}",
    "{director} has made {a adjective+}, {adjective+} {genre}",
    "{adjective+} jokes, {adjective+} faces and {a adjective+} twist, all {adverb+} {made}",
)
TURNED_PATTERNS = (  # on one side with the words of the other: negation and hearsay
    "{aspect} is not at all {adjective-}",
    "it is anything but {adjective-}",
    "not once did it feel {adjective-} or {adjective-}",
    "I expected {a noun-}, something {adjective-}, and I was wrong",
    '{relative} called it "{adjective-}, {adjective-} and {adjective-}", and I could not disagree '
    "more",
    "people say that it is {a noun-} and that it {film_verb-}, which is nonsense",
    "I hardly ever felt {feeling-}, and {aspect} is far from {adjective-}",
)
CONTRAST_PATTERNS = (  # concede something, then come down on this side
    "{aspect} is {strong-}, but {aspect} is {pair+}",
    "although {aspect} is {strong-}, {aspect} is {strong+}",
    "{partner} may be {strong-}, but {star} {actor_verb+}",
    "yes, {aspect} {film_verb-}; even so, the film as a whole {film_verb+}",
    "it starts {adverb-}, but soon it {film_verb+}",
    "despite {a adjective-} middle part I was {feeling+} at the end",
)
VERDICT_PATTERNS = (
    "all in all {a adjective+} {noun+}",
    "in the end it is {pair+}",
    "final verdict: {pair+}",
    "on balance, {a noun+}",
    "taken as a whole, {a adjective+} {genre} that {film_verb+}",
    "{advice+}, because the film {film_verb+}",
    "when all is said and done, the film {film_verb+}",
)


class Choice:
    """Draws entries with weights 1/2, 1/3, 1/4 …, as in Zipf's law: a few words and a long tail."""

    def __init__(self, entries: Sequence[str]) -> None:
        self.entries = entries
        self.cumulative = list(accumulate(1 / (rank + 2) for rank in range(len(entries))))

    def draw(self, rng: random.Random) -> str:
        """Return one entry."""
        return self.entries[bisect(self.cumulative, rng.random() * self.cumulative[-1])]


LEXICON = {
    "adjective": ADJECTIVES,
    "adverb": ADVERBS,
    "noun": NOUNS,
    "film_verb": FILM_VERBS,
    "actor_verb": ACTOR_VERBS,
    "feeling": FEELINGS,
    "advice": ADVICE,
}
VOICES = 3
"""Circles of words per polarity; a reviewer keeps to one of each, whatever the part of speech."""
PURITY = 0.98
"""Share of the words that do come from the reviewer's circle."""
CHOICES = {
    (kind, side, voice): Choice(entries if voice is None else entries[voice::VOICES])
    for kind, sides in LEXICON.items()
    for side, entries in sides.items()
    for voice in (None, *range(VOICES))
}
NEUTRAL = {
    "genre": GENRES,
    "made": PARTICIPLES,
    "ordinal": words("second, third, fourth, fifth"),
    "place": PLACES,
    "plot": PLOTS,
    "relative": RELATIVES,
    "role": ROLES,
}


def article(phrase: str) -> str:
    """Put "a" or "an" before a phrase."""
    vowel = phrase.lower().startswith((*"aeiou", "honest"))
    return f"{'an' if vowel else 'a'} {phrase}"


def sentence(text: str) -> str:
    """Start with a capital letter and end with a full stop unless it ends otherwise."""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".!?" else f"{text}."


class Reviewer:
    """Writes one review of one film with an opinion of +1 or -1."""

    def __init__(self, rng: random.Random, side: int) -> None:
        self.rng = rng
        self.side = side
        self.film = {
            "star": self.name(),
            "partner": self.name(),
            "director": self.name(),
            "title": f"The {self.any(TITLE_FIRST)} {self.any(TITLE_LAST)}",
            "genre": self.any(GENRES),
            "year": str(1931 + int(rng.random() * 85)),
        }
        self.voices = {1: int(rng.random() * VOICES), -1: int(rng.random() * VOICES)}
        self.said: set[str] = set()
        self.unused: dict[tuple[str, ...], list[str]] = {}

    def chance(self, probability: float) -> bool:
        """Return true with this probability."""
        return self.rng.random() < probability

    def any(self, entries: Sequence[str]) -> str:
        """Draw one entry, all equally likely."""
        return entries[int(self.rng.random() * len(entries))]

    def once(self, entries: tuple[str, ...]) -> str:
        """Draw an entry that this review has not drawn yet, as long as there is one."""
        left = self.unused.setdefault(entries, [])
        if not left:
            left.extend(entries)
        return left.pop(int(self.rng.random() * len(left)))

    def name(self) -> str:
        """Name a person."""
        return f"{self.any(FIRST)} {self.any(LAST)}"

    def draw(self, kind: str, side: int) -> str:
        """Draw what this review has not said yet from the lexicon of one polarity."""
        while True:
            voice = self.voices[side] if self.chance(PURITY) else None
            entry = CHOICES[kind, side, voice].draw(self.rng)
            if entry not in self.said:
                self.said.add(entry)
                return entry

    def strong(self, side: int) -> str:
        """Draw an adjective, sometimes with an intensifier, sometimes in capitals."""
        word = self.draw("adjective", side)
        if self.chance(0.04):
            word = word.upper()
        return f"{self.any(INTENSIFIERS)} {word}" if self.chance(0.16) else word

    def pair(self, side: int) -> str:
        """Coordinate two or three adjectives of one polarity, or negate two of the other."""
        if self.chance(0.10):
            return f"neither {self.draw('adjective', -side)} nor {self.draw('adjective', -side)}"
        first, last = self.draw("adjective", side), self.strong(side)
        if self.chance(0.6):
            return f"{first}, {self.draw('adjective', side)} and {last}"
        return f"{first} and {last}"

    def fill(self, pattern: str, side: int) -> str:
        """Write a sentence from a pattern."""

        def value(match: re.Match[str]) -> str:
            needs_article, kind, sign = match.groups()
            if sign:
                which = side if sign == "+" else -side
                if kind in ("strong", "pair"):
                    phrase = self.strong(which) if kind == "strong" else self.pair(which)
                else:
                    phrase = self.draw(kind, which)
            elif kind == "aspect":
                phrase = self.once(ASPECTS)
            else:
                phrase = self.film[kind] if kind in self.film else self.any(NEUTRAL[kind])
            return article(phrase) if needs_article else phrase

        return sentence(re.sub(r"\{(a )?(\w+)([+-]?)\}", value, pattern))

    def body(self, mixed: bool) -> list[str]:
        """Write four to six sentences of opinion.

        A mixed review says nearly as much for the other side, and its verdict decides.
        """
        side = self.side
        own, turned, contrast = (0.44, 0.56, 0.74) if mixed else (0.74, 0.84, 0.97)
        sentences = []
        for _ in range(4 + int(self.rng.random() * 3)):
            draw = self.rng.random()
            if draw < own:
                sentences.append(self.fill(self.once(OPINION_PATTERNS), side))
            elif draw < turned:
                sentences.append(self.fill(self.once(TURNED_PATTERNS), side))
            elif draw < contrast:
                sentences.append(self.fill(self.once(CONTRAST_PATTERNS), side))
            else:
                sentences.append(self.fill(self.once(OPINION_PATTERNS), -side))
        return sentences

    def ending(self, mixed: bool) -> list[str]:
        """Write the verdict, a rating and an emoji, or some of them."""
        sentences = []
        if mixed or self.chance(0.6):
            pattern = self.any(VERDICT_PATTERNS)
            if mixed and self.chance(0.35):
                pattern = f"not everyone will agree, but {pattern}"
            sentences.append(self.fill(pattern, self.side))
        if self.chance(0.05):
            rating = int(self.rng.random() * 4) + (7 if self.side > 0 else 1)
            sentences.append(f"{rating}/10")
        if self.chance(0.06):
            sentences.append(self.any(EMOJI[self.side] if self.chance(0.8) else ("🎬", "🍿")))
        return sentences

    def review(self) -> str:
        """Write the review."""
        patterns = [self.any(PLOT_PATTERNS), self.any(CONTEXT_PATTERNS)]
        if self.chance(0.6):
            patterns.reverse()
        if self.chance(0.75):
            patterns.pop()
        head = [self.fill(pattern, self.side) for pattern in patterns]
        if self.chance(0.06):
            head.insert(0, self.fill(self.any(VERDICT_PATTERNS), self.side))
        if self.chance(0.06):
            head.append(self.any(("Hmmmm.", "Well...", "Wow!!!", "Hmm, where to begin?")))
        mixed = self.chance(0.40)
        separator = "<br /><br />" if self.chance(0.3) else " "
        return " ".join(head) + separator + " ".join(self.body(mixed) + self.ending(mixed))


def balanced_sides(rng: random.Random, n: int) -> list[int]:
    """Return n opinions in random order, half of them +1."""
    sides = [1 if i % 2 else -1 for i in range(n)]
    for i in range(n - 1, 0, -1):  # Fisher-Yates by random.random alone, which is stable
        j = int(rng.random() * (i + 1))
        sides[i], sides[j] = sides[j], sides[i]
    return sides


def write_reviews(
    rng: random.Random, sides: Sequence[int], others: Collection[str] = ()
) -> dict[str, str]:
    """Write one review for each opinion; 30 to 120 words each, none twice, none of the others.

    Returns:
        The magazine of each review, in the order of the opinions.
    """
    reviews: dict[str, str] = {}
    for side in sides:
        while True:
            reviewer = Reviewer(rng, side)
            text = reviewer.review()
            if 30 <= len(text.split()) <= 120 and text not in reviews and text not in others:
                break
        reviews[text] = MAGAZINES[reviewer.voices[side]]
    return reviews


def labels_of(rng: random.Random, sides: Sequence[int]) -> list[str]:
    """Name the opinions, a few of them wrongly, as many on either side: the file stays balanced."""
    flips = round(len(sides) * WRONG_LABELS / 2)
    wrong: set[int] = set()
    for side in (-1, 1):
        rows = [row for row, value in enumerate(sides) if value == side]
        for _ in range(flips):
            wrong.add(rows.pop(int(rng.random() * len(rows))))
    return [LABELS[(side > 0) != (row in wrong)] for row, side in enumerate(sides)]


def make_sample(seed: int) -> tuple[dict[str, str], dict[str, list[int]]]:
    """Generate the files.

    Args:
        seed: Seed of every draw.

    Returns:
        The files' contents by name, and the true opinions (+1 or -1) of their rows by name.
    """
    rng = random.Random(seed)
    sides = [*balanced_sides(rng, N_TRAIN), *balanced_sides(rng, N_VALID)]
    labels = [*labels_of(rng, sides[:N_TRAIN]), *labels_of(rng, sides[N_TRAIN:])]
    other_sides = balanced_sides(rng, N_UNSUPERVISED)
    reviews = write_reviews(rng, [*sides, *other_sides])
    texts = list(reviews)
    n = N_TRAIN + N_VALID
    rows = [
        (label, text, str(row >= N_TRAIN), reviews[text])
        for row, (label, text) in enumerate(zip(labels, texts[:n], strict=True))
    ]
    new_sides = balanced_sides(rng, N_NEW)
    new = [*list(write_reviews(rng, new_sides, reviews))[:-1], ""]
    files = {
        "texts.csv": to_csv([("label", "text", "is_valid", "magazine"), *rows]),
        "unsupervised.csv": to_csv([("text",), *((text,) for text in texts[n:])]),
        "new.csv": to_csv([("id", "text"), *((f"n{i}", text) for i, text in enumerate(new, 1))]),
    }
    return files, {"texts.csv": sides, "unsupervised.csv": other_sides, "new.csv": new_sides}


def to_csv(rows: Sequence[Sequence[str]]) -> str:
    """Write rows as CSV with newline line ends on every platform."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=42, help="seed of every draw (default 42)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parents[1] / "data" / "01_raw" / "imdb_sample",
        help="folder to write the files to (default: the embedded sample)",
    )
    arguments = parser.parse_args()
    files, _ = make_sample(arguments.seed)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = arguments.output / name
        path.write_bytes(content.encode())
        print(f"{path}: {content.count(chr(10)) - 1:,} rows, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
