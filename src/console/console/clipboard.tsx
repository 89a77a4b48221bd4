// Text to take away by one press.
import { useState } from "preact/hooks";

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    if (!(await toClipboard(text))) return;
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <button type="button" class="button" onClick={copy} aria-label={`Copy: ${label}`}>
      {copied ? "Copied" : "Copy"}
    </button>
  );
}

/** The clipboard's own API exists only on secure origins; a console on a LAN address has none. */
async function toClipboard(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    const done = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false, // denied: the old way below still works after a click
    );
    if (done) return true;
  }
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
