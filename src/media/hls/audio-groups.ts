// Which audio renditions a player may choose from, and under what names.
// One group holds renditions of one codec, so that a player which cannot play it leaves that group's variants alone and no
// others: hls.js drops every variant whose CODECS it does not know, and so does Safari. The draft (4.4.6.1.1) wants the same
// members in all groups: what a codec does not have (a commentary only in AAC beside dialogue in AC-3) is taken from the
// codec that more players know, never the other way round. So the group of that codec may have fewer members: better that
// than a variant which most players refuse.
// Source: draft-pantos-hls-rfc8216bis-22, 4.4.6.1 and 4.4.6.2

export type AudioChoice = Readonly<{
  /** Of the playlist. */
  uri: string;
  /** RFC 6381. */
  codec: string;
  /** ISO 639-2 or BCP 47; "und" when unknown. */
  language: string;
  channels: number;
}>;

export type AudioMember<A extends AudioChoice> = Readonly<{
  choice: A;
  /** Unique in its group, and the same for the same content in each. */
  name: string;
  /** RFC 5646; null when unknown. */
  language: string | null;
  default: boolean;
}>;

export type AudioGroup<A extends AudioChoice> = Readonly<{
  id: string;
  codecs: readonly string[];
  members: readonly AudioMember<A>[];
}>;

const MAIN_GROUP = "audio";

/** The less of them a codec has in its place here, the more players know it. */
const KNOWN_BY_MOST = ["mp4a.40.2", "mp4a.40.5", "mp4a.40.29", "mp4a.40.34", "opus", "ac-3", "ec-3"];

/** @param choices in the order of the source; the first is the default
 *  @returns the group that most players can play first; none without choices */
export function audioGroups<A extends AudioChoice>(choices: readonly A[]): AudioGroup<A>[] {
  const members = named(choices);
  const codecs = [...new Set(choices.map(({ codec }) => codec))].sort((a, b) => rank(a) - rank(b));
  return codecs.map((codec, i) => {
    const own = members.filter(({ choice }) => choice.codec === codec);
    const others = codecs.slice(0, i).flatMap((other) => members.filter(({ choice }) => choice.codec === other));
    const borrowed = others.filter(({ name }, at) => {
      const isNew = others.findIndex((one) => one.name === name) === at;
      return isNew && !own.some((one) => one.name === name);
    });
    const ordered = [...own, ...borrowed].sort((a, b) => Number(b.default) - Number(a.default));
    const usedCodecs = [...new Set([codec, ...ordered.map(({ choice }) => choice.codec)])];
    return { id: i === 0 ? MAIN_GROUP : `${MAIN_GROUP}-${codec.toLowerCase()}`, codecs: usedCodecs, members: ordered };
  });
}

function rank(codec: string): number {
  const at = KNOWN_BY_MOST.indexOf(codec);
  return at < 0 ? KNOWN_BY_MOST.length : at;
}

/** The nth rendition of a language in one codec is the same content as the nth of that language in another. */
function named<A extends AudioChoice>(choices: readonly A[]): AudioMember<A>[] {
  const before = new Map<string, number>();
  const members = choices.map((choice) => {
    const language = languageTag(choice.language);
    const key = `${choice.codec} ${language ?? ""}`;
    const nth = (before.get(key) ?? 0) + 1;
    before.set(key, nth);
    const plain = language === null ? null : languageName(language);
    const name = plain === null ? `Audio ${nth}` : nth === 1 ? plain : `${plain} ${nth}`;
    return { choice, name, language };
  });
  return members.map((member) => ({ ...member, default: member.name === members[0]!.name }));
}

/** The shortest tag, as RFC 5646 asks for it: "en" for "eng", "de" for "ger". Null for what says nothing. */
export function languageTag(language: string): string | null {
  try {
    const tag = Intl.getCanonicalLocales(language)[0] ?? null;
    return tag === "und" ? null : tag;
  } catch {
    return null; // no language tag at all: a stream may carry any three bytes
  }
}

const NAMES = new Intl.DisplayNames(["en"], { type: "language", fallback: "none" });

/** In English, as everything we say; the tag itself for one that has no name. */
function languageName(tag: string): string {
  return NAMES.of(tag) ?? tag;
}
