/** Errors as they go from one thread to another: plain data on the way, of their own class again where they arrive. */
import * as library from "../errors.ts";

/** An error as plain data. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: PlainError;
  /** Its own fields, such as `code`, `facts` and `step`. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

const isError = (x: unknown): x is Error => x instanceof Error;

/** Anything that was thrown. */
export function encodeError(thrown: unknown): PlainError {
  if (!isError(thrown)) return { name: "Error", message: String(thrown) };
  const { name, message, stack, cause } = thrown;
  const own = Object.entries(thrown).filter(([key]) => !["name", "message", "stack", "cause"].includes(key));
  // Plain data, whatever someone has put on an error of their own.
  const fields = JSON.parse(JSON.stringify(Object.fromEntries(own))) as Record<string, unknown>;
  return { name, message, stack, fields, ...(isError(cause) && { cause: encodeError(cause) }) };
}

/** The classes an error can be of: the library's, JavaScript's own, and the one of an abort. */
function classOf(name: string): { readonly prototype: Error } {
  const found = Object.hasOwn(library, name)
    ? (library as Record<string, unknown>)[name]
    : (globalThis as Record<string, unknown>)[name];
  const isClass = typeof found === "function" && (found === Error || found.prototype instanceof Error);
  return isClass ? (found as unknown as { prototype: Error }) : Error;
}

/** An error of its class, with its fields, code and facts. */
export function decodeError({ name, message, stack, cause, fields }: PlainError): Error {
  if (["AbortError", "TimeoutError", "DataCloneError"].includes(name)) return new DOMException(message, name);
  const error = Object.create(classOf(name).prototype) as Error;
  const hidden = { enumerable: false, writable: true, configurable: true };
  Object.defineProperties(error, {
    message: { value: message, ...hidden },
    stack: { value: stack ?? `${name}: ${message}`, ...hidden },
    ...(cause && { cause: { value: decodeError(cause), ...hidden } }),
  });
  return Object.assign(error, fields, { name });
}
