import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { codecString } from "#media/codec/codec-string.ts";
import { audioGroups, languageTag } from "./audio-groups.ts";

const choice = (codec: string, language: string, uri: string) => ({ codec, language, uri, channels: 2 });
const AAC = "mp4a.40.2";

/** Group by group: its codecs, and "NAME uri" of each member, the default one with a star. */
function shown(choices: Parameters<typeof audioGroups>[0]) {
  return audioGroups(choices).map(({ id, codecs, members }) => [
    id,
    codecs.join(),
    ...members.map((member) => `${member.name} ${member.choice.uri}${member.default ? "*" : ""}`),
  ]);
}

test("one codec is one group, named by language, unique", () => {
  assert.deepEqual(shown([choice(AAC, "eng", "a"), choice(AAC, "ger", "b"), choice(AAC, "eng", "c")]), [
    ["audio", AAC, "English a*", "German b", "English 2 c"],
  ]);
  assert.deepEqual(shown([choice(AAC, "und", "a"), choice(AAC, "und", "b")]), [
    ["audio", AAC, "Audio 1 a*", "Audio 2 b"],
  ]);
  assert.deepEqual(shown([]), []);
});

test("two codecs are two groups with the same members, best known first; the default is the same content in both", () => {
  const choices = [
    choice("ac-3", "fra", "f3"),
    choice("ac-3", "eng", "e3"),
    choice(AAC, "eng", "e"),
    choice(AAC, "fra", "f"),
  ];
  assert.deepEqual(shown(choices), [
    ["audio", AAC, "French f*", "English e"],
    ["audio-ac-3", "ac-3", "French f3*", "English e3"],
  ]);
});

test("codecs are ranked by the strings that playlists have", () => {
  const [opus, ac3] = (["opus", "ac3"] as const).map((codec) => codecString({ codec, config: new Uint8Array() }));
  assert.deepEqual(shown([choice(ac3!, "eng", "a"), choice(opus!, "eng", "o")]), [
    ["audio", "opus", "English o*"],
    ["audio-ac-3", "ac-3", "English a*"],
  ]);
});

test("what a codec does not have is borrowed from the better known one, never the other way round", () => {
  const choices = [
    choice("ec-3", "eng", "e3"),
    choice(AAC, "eng", "e"),
    choice(AAC, "spa", "s"),
    choice("ec-3", "deu", "d3"),
  ];
  assert.deepEqual(shown(choices), [
    ["audio", AAC, "English e*", "Spanish s"],
    ["audio-ec-3", `ec-3,${AAC}`, "English e3*", "German d3", "Spanish s"],
  ]);
});

test("any languages and codecs: names are unique in a group, one default at most, each rendition in some group", () => {
  const any = fc.record({
    codec: fc.constantFrom(AAC, "ac-3", "ec-3", "opus", "mp4a.40.34"),
    language: fc.oneof(fc.constantFrom("eng", "fra", "und", "zzz", ""), fc.string({ maxLength: 4 })),
    uri: fc.uuid(),
    channels: fc.constant(2),
  });
  const property = fc.property(fc.array(any, { maxLength: 8 }), (choices) => {
    const groups = audioGroups(choices);
    for (const { members, codecs } of groups) {
      assert.equal(new Set(members.map(({ name }) => name)).size, members.length);
      assert.ok(members.filter((member) => member.default).length <= 1);
      for (const member of members) assert.ok(codecs.includes(member.choice.codec));
    }
    const there = new Set(groups.flatMap(({ members }) => members.map((member) => member.choice)));
    assert.equal(there.size, choices.length);
    if (choices.length > 0) assert.ok(groups.every(({ id }, i) => groups.findIndex((one) => one.id === id) === i));
  });
  fc.assert(property, { numRuns: 300, seed: 9 });
});

test("language tags are the shortest there are, and none for what is none", () => {
  const tags = ["eng", "ger", "deu", "fre", "en-GB", "und", "", "\0\0\0", "qaa", "a1"].map(languageTag);
  assert.deepEqual(tags, ["en", "de", "de", "fr", "en-GB", null, null, null, "qaa", null]);
});
