// For what cannot be taken back: the first press asks, the second does it.
import { useState } from "preact/hooks";

export function ConfirmButton(props: { word: string; question: string; label?: string; onConfirm: () => unknown }) {
  const [asked, setAsked] = useState(false);
  const press = () => {
    setAsked(!asked);
    if (asked) props.onConfirm();
  };
  return (
    <button
      type="button"
      class={asked ? "button danger" : "button"}
      aria-label={asked ? undefined : props.label}
      onClick={press}
      onBlur={() => setAsked(false)}
    >
      {asked ? props.question : props.word}
    </button>
  );
}
