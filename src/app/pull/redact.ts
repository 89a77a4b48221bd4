/** An address, or a text with addresses in it, fit for logs and views: no user, no password, no query (where keys are). */
export function withoutCredentials(text: string): string {
  return text.replace(
    /\b([a-z]{2,6}:\/\/)([^\s/?#"']*)([^\s?#"']*)(\?[^\s"']*)?/gi,
    (_, scheme, authority, path, query) => {
      const host = authority.slice(authority.lastIndexOf("@") + 1);
      return `${scheme}${host}${path}${query === undefined ? "" : "?..."}`;
    },
  );
}
