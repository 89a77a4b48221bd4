/** The key of `Authorization: Bearer KEY`, or the password of `Basic`. Source: RFC 6750, 2.1; RFC 7617, 2 */
export function keyOf(authorization = ""): string | null {
  const [, scheme = "", value = ""] = /^(Bearer|Basic) +(\S+) *$/i.exec(authorization) ?? [];
  if (scheme.toLowerCase() === "bearer") return value;
  if (scheme.toLowerCase() !== "basic") return null;
  const text = Buffer.from(value, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon === -1 ? null : text.slice(colon + 1);
}
