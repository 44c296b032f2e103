/** Which language a text is in, as far as a page can tell by its letters and its commonest words. Knows a score of languages; names none where it is not sure. */

/** Words that are frequent in a language and rare or absent in others. */
const COMMON = Object.entries({
  en: "the and of to is was that with for on at his her she he they it in who about an a there were had said you my",
  de: "der die das und ein eine einen einem einer ist nicht ich du wir mit von zu auf im den dem für über war wie erzähl erzähle mir geschichte vom wald es war einmal",
  fr: "le la les un une des et est dans que qui pas avec pour sur il elle je tu au du raconte moi histoire était fois",
  es: "el la los las un una y es en que no con por para se su del al cuéntame cuento historia había vez sobre",
  it: "il lo la gli le un una e è di che non con per del della nel al raccontami storia una volta c'era sono",
  pt: "o os as um uma e é em que não com por para se seu do da no na conte me história era vez sobre",
  nl: "de het een en is niet ik van op met voor dat die er zijn was vertel me een verhaal over eens in",
  sv: "och en ett är inte jag du det som på av för med den till var berätta en saga om gång",
  da: "og en et er ikke jeg du det som på af for med den til var fortæl en historie om gang",
  no: "og en et er ikke jeg du det som på av for med den til var fortell en historie om gang",
  fi: "ja on ei se hän minä sinä oli mutta kun joka kerro minulle tarina ketusta olipa kerran",
  pl: "i w na nie się to jest z do że o jak był była opowiedz mi historię bajkę lisie dawno temu",
  cs: "a v na ne se to je s do že o jak byl byla pohádku příběh vyprávěj mi bylo jednou",
  hu: "a az és egy nem van volt hogy de ez mesélj nekem történetet egyszer róka",
  ro: "și în nu este un o cu la pe care că din spune mi o poveste fost odată",
  tr: "ve bir bu ne için ile da de mi çok bana anlat masal hikaye varmış yokmuş",
  id: "dan yang di ke dari ini itu dengan untuk tidak saya ada cerita ceritakan tentang seekor",
  vi: "và là của một có không cho tôi kể truyện về con những trong",
}).map(([code, words]) => ({ code, words: new Set(words.split(" ")) }));

/** Scripts that tell a language, or nearly; kana before the signs that Japanese shares with Chinese. @type {[RegExp, string][]} */
const SCRIPTS = [
  [/[\p{sc=Hiragana}\p{sc=Katakana}]/u, "ja"],
  [/\p{sc=Hangul}/u, "ko"],
  [/\p{sc=Han}/u, "zh"],
  [/[іїєґ]/iu, "uk"],
  [/\p{sc=Cyrillic}/u, "ru"],
  [/\p{sc=Greek}/u, "el"],
  [/[پچژگ]/u, "fa"],
  [/\p{sc=Arabic}/u, "ar"],
  [/\p{sc=Hebrew}/u, "he"],
  [/\p{sc=Devanagari}/u, "hi"],
  [/\p{sc=Bengali}/u, "bn"],
  [/\p{sc=Tamil}/u, "ta"],
  [/\p{sc=Thai}/u, "th"],
];

/** The code (BCP 47) of the language that a text seems to be in; nothing where it may be any. @param {string} text */
export function languageOf(text) {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const latin = text.match(/\p{sc=Latin}/gu)?.length ?? 0;
  // A foreign word in a sentence makes no foreign sentence.
  if (letters > 2 * latin) return SCRIPTS.find(([script]) => script.test(text))?.[1];
  const words = wordsOf(text);
  const counts = COMMON.map(({ code, words: common }) => ({ code, count: words.filter((word) => common.has(word)).length }));
  // Of equals the first of the list: English, where it may be.
  const [first] = counts.toSorted((a, b) => b.count - a.count);
  return first.count >= 2 && first.count >= words.length / 4 ? first.code : undefined;
}

/** Its name in English. @param {string} code */
export function languageName(code) {
  return new Intl.DisplayNames(["en"], { type: "language" }).of(code) ?? code;
}

/** Its words in small letters; an apostrophe or a hyphen inside one is a part of it. @param {string} text */
export function wordsOf(text) {
  return text.toLowerCase().replaceAll("’", "'").match(/\p{L}[\p{L}\p{M}]*(?:['-]\p{L}[\p{L}\p{M}]*)*/gu) ?? [];
}
