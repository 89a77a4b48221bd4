// What must hold among the renditions of a group (EXT-X-MEDIA).
import type { Findings } from "./findings.ts";
import type { Multivariant } from "./playlist.ts";

export function checkMediaGroups({ media }: Multivariant, url: string, findings: Findings): void {
  const groups = Map.groupBy(media, (one) => `${one.get("TYPE")} "${one.get("GROUP-ID")}"`);
  for (const [group, members] of groups) {
    const say = (detail: string) => findings.add("multivariant.media", url, `${group}: ${detail}`);
    const names = members.map((member) => member.get("NAME"));
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined) say(`two are named "${twice}"`);
    if (members.filter((member) => member.get("DEFAULT") === "YES").length > 1) say("more than one default");
    for (const member of members) {
      if (member.get("DEFAULT") === "YES" && member.get("AUTOSELECT") === "NO") say("a default that is not selectable");
      const language = member.get("LANGUAGE");
      if (language !== undefined && !isTag(language)) say(`LANGUAGE="${language}" is no shortest tag of RFC 5646`);
      if (member.get("TYPE") === "AUDIO" && !/^\d+/.test(member.get("CHANNELS") ?? "")) say("no CHANNELS");
    }
  }
}

function isTag(text: string): boolean {
  try {
    return Intl.getCanonicalLocales(text)[0]!.toLowerCase() === text.toLowerCase();
  } catch {
    return false;
  }
}
