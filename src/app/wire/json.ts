// JSON between roles: whole states with bigints and bytes in them, which plain JSON cannot carry.

/** @returns one line of text; bigints as {"$n":"1"}, bytes as {"$b":"base64"} */
export function encodeWire(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, plain) {
    const item = this[key]; // the value before toJSON: a Buffer would arrive as {type, data}
    if (typeof item === "bigint") return { $n: item.toString() };
    if (item instanceof Uint8Array) return { $b: Buffer.from(item).toString("base64") };
    return plain;
  });
}

/** @throws SyntaxError when the text is not JSON */
export function decodeWire(text: string): unknown {
  return JSON.parse(text, (_, value) => {
    if (typeof value?.$n === "string") return BigInt(value.$n);
    if (typeof value?.$b === "string") return new Uint8Array(Buffer.from(value.$b, "base64"));
    return value;
  });
}
