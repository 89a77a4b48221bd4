/** For what only a programmer's mistake can break. It throws AssertionError, which no code catches: the process stops
 *  and its supervisor starts another. What the world can do wrong is a PlatformError instead. */
export { strict as assert } from "node:assert";
