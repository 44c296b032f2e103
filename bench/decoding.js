/**
 * How else texts are written, each beside the plain way and in turns with it, so that other work on the machine strikes both: what counts is
 * the ratio of each turn.
 *
 * @typedef {{ ratios: number[], seconds: number[], plain_seconds: number[], tokens: number, drafted?: number, accepted?: number }} Compared the
 *   plain way's seconds through those of the other, of each turn; the tokens of a turn, and what was guessed in all turns
 */

const TEXTS = 8;
const TOKENS = 40;
const GUESSES = 8;

const PROMPT = "Once upon a time there was a little fox. One day";
const SENTENCE = "The little fox ran to the sea and saw a boat. ";
const PASSAGE =
  "On the north side of the island stood a lighthouse of grey stone. Its keeper, a woman named Ingrid, counted the ships each evening and wrote their names into a book with a red cover. " +
  "In the winter of that year only four ships came: the Albatross, the Morning Star, the Patience, and a small boat without a name that carried nothing but apples.";

/** Seconds that a stream took, and the tokens of each text. */
async function timed(stream) {
  const start = performance.now();
  const texts = [];
  for await (const { token, index = 0 } of stream) if (token !== undefined) (texts[index] ??= []).push(token);
  return { seconds: (performance.now() - start) / 1e3, texts, summary: stream.summary };
}

/** Throws where two ways wrote different texts: then their times say nothing. */
function same(ours, plain, what) {
  if (JSON.stringify(ours) !== JSON.stringify(plain)) throw new Error(`${what}: the two ways wrote different texts`);
}

/**
 * Turns of two ways to write the same, and one of each before that counts for nothing.
 *
 * @returns {Promise<Compared>}
 */
async function inTurns(what, reps, ours, plain) {
  const compared = { ratios: [], seconds: [], plain_seconds: [], tokens: 0, drafted: 0, accepted: 0 };
  for (let run = 0; run <= reps; run++) {
    // Which is first changes from turn to turn.
    const first = run % 2 ? await ours(run) : undefined;
    const other = await plain(run);
    const one = first ?? (await ours(run));
    same(one.texts, other.texts, what);
    if (run === 0) continue;
    compared.ratios.push(other.seconds / one.seconds);
    compared.seconds.push(one.seconds);
    compared.plain_seconds.push(other.seconds);
    compared.tokens = one.texts.reduce((sum, text) => sum + text.length, 0);
    compared.drafted += one.summary.draftedTokens ?? 0;
    compared.accepted += one.summary.acceptedTokens ?? 0;
  }
  return compared;
}

/** Eight texts in a batch, beside the same eight one after another. */
function batch(model, reps) {
  const options = (run) => ({ maxTokens: TOKENS, minTokens: TOKENS, temperature: 1, seed: 100 * run });
  const together = (run) => timed(model.generate(PROMPT, { ...options(run), n: TEXTS }));
  const apart = async (run) => {
    const all = [];
    for (let at = 0; at < TEXTS; at++) all.push(await timed(model.generate(PROMPT, { ...options(run), seed: 100 * run + at })));
    return { seconds: all.reduce((sum, one) => sum + one.seconds, 0), texts: all.flatMap((one) => one.texts), summary: {} };
  };
  return inTurns("n: 8", reps, together, apart);
}

/** An answer that quotes its prompt, where the model answers; else a text that goes on to repeat itself. */
function quoting(model, options) {
  const given = { maxTokens: 2.4 * TOKENS, temperature: 0, ...options };
  if (!model.info.chat) return model.generate(SENTENCE.repeat(6), given);
  return model.chat([{ role: "user", content: `Repeat this text word for word, and write nothing else:\n\n${PASSAGE}` }], given);
}

const lookUp = (model, reps) => inTurns("promptLookup", reps, () => timed(quoting(model, { promptLookup: GUESSES })), () => timed(quoting(model)));

function drafted(model, draft, reps) {
  const options = { maxTokens: TOKENS, temperature: 0 };
  return inTurns("draft", reps, () => timed(model.generate(PROMPT, { ...options, draft })), () => timed(model.generate(PROMPT, options)));
}

/**
 * @param {object} model
 * @param {object} draft another model of the same tokens, or the same once more
 * @param {number} reps turns of each
 */
export async function decoding(model, draft, reps) {
  return { batch: await batch(model, reps), prompt_lookup: await lookUp(model, reps), draft: await drafted(model, draft, reps) };
}
