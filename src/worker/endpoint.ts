/**
 * Calls across a message port, the same on both sides: the methods of an object here can be called there. Values are
 * copied as `postMessage` copies them; functions, abort signals and iterables stay where they are and are called from the
 * other side; errors come across as what they are. This file knows nothing of models.
 */
import { decodeError, encodeError, type PlainError } from "./errors.ts";

// biome-ignore lint/suspicious/noExplicitAny: each platform has its own events.
type Listener = (event: any) => void;

/** As much of a `Worker`, a `MessagePort` or a worker's own scope as is used here, in browsers and in Node. */
export interface Port {
  postMessage(message: unknown): void;
  addEventListener?(type: string, listener: Listener): void;
  /** Node's workers are event emitters. */
  on?(type: string, listener: Listener): unknown;
  start?(): void;
  terminate?(): unknown;
  close?(): void;
}

/** Something that stays where it is, in its place in a message. */
interface Reference {
  readonly $: "function" | "signal" | "iterable" | "error";
  readonly id: number;
  readonly error?: PlainError;
}

type Sent =
  | { readonly kind: "call"; readonly id: number; readonly method: string; readonly args: unknown }
  | { readonly kind: "apply" | "next"; readonly id: number; readonly target: number; readonly args?: unknown }
  | { readonly kind: "return"; readonly target: number }
  | { readonly kind: "abort"; readonly target: number; readonly reason: unknown }
  | { readonly kind: "done"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: PlainError };

// biome-ignore lint/suspicious/noExplicitAny: any method may be called.
type AnyFunction = (...args: any[]) => unknown;
type Methods<T> = { [K in keyof T]: T[K] extends AnyFunction ? K : never }[keyof T] & string;
/** What a call gives on the other side: what was promised; of an iterable, an asynchronous one. */
type Given<R> =
  Awaited<R> extends Iterable<infer I> | AsyncIterable<infer I>
    ? Awaited<R> extends ArrayLike<unknown> | ReadonlyMap<unknown, unknown> | string
      ? Awaited<R>
      : AsyncGenerator<I>
    : Awaited<R>;

/** The other side of a port, with the methods of T. */
export interface Endpoint<T> {
  /** Calls a method there. Rejects with what it throws there, and with a PlatformError if that side has ended. */
  call<K extends Methods<T>>(
    method: K,
    ...args: T[K] extends AnyFunction ? Parameters<T[K]> : never
  ): Promise<Given<T[K] extends AnyFunction ? ReturnType<T[K]> : never>>;
  /** Ends the worker, or closes the port; calls that are under way reject with the reason. */
  close(reason?: Error): void;
}

const isPlain = (x: object): boolean => {
  const prototype = Object.getPrototypeOf(x);
  return prototype === Object.prototype || prototype === null;
};

const isIterable = (x: object): x is AsyncIterable<unknown> =>
  Symbol.asyncIterator in x || (Symbol.iterator in x && typeof (x as { next?: unknown }).next === "function");

const isReference = (x: object): x is Reference => "$" in x && "id" in x;

/**
 * Opens a port: this side's methods are those of `own`.
 *
 * @example
 * const { port1, port2 } = new MessageChannel(); // or a Worker here, and `self` in it
 * connect(port2, { square: (x: number) => x * x });
 * const there = connect<{ square(x: number): number }>(port1);
 * console.log(await there.call("square", 3)); // 9
 * there.close();
 */
export function connect<T extends object = object>(port: Port, own: object = {}): Endpoint<T> {
  const post = (message: Sent): void => port.postMessage(message);
  let last = 0;
  let ended: Error | undefined;
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  /** What the other side may call: functions, and iterators with what of this side their makers were given. */
  const functions = new Map<number, AnyFunction>();
  const iterators = new Map<number, AsyncIterator<unknown> | Iterator<unknown>>();
  /** The signals of the other side. */
  const aborts = new Map<number, AbortController>();

  /** A value as it is sent; how to forget what of it stays here is added to `forget`. */
  const encode = (value: unknown, forget: (() => void)[] = []): unknown => {
    const refer = ($: Reference["$"]): Reference => ({ $, id: ++last });
    const visit = (value: unknown): unknown => {
      if (typeof value === "function") {
        const reference = refer("function");
        functions.set(reference.id, value as AnyFunction);
        forget.push(() => functions.delete(reference.id));
        return reference;
      }
      if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
      if (value instanceof Error) return { $: "error", id: 0, error: encodeError(value) } satisfies Reference;
      if (value instanceof AbortSignal) {
        const reference = refer("signal");
        const tell = (): void => post({ kind: "abort", target: reference.id, reason: encode(value.reason) });
        // After the message that brings the signal there.
        if (value.aborted) queueMicrotask(tell);
        else value.addEventListener("abort", tell, { once: true });
        forget.push(() => value.removeEventListener("abort", tell));
        return reference;
      }
      if (isIterable(value)) {
        const reference = refer("iterable");
        iterators.set(reference.id, Symbol.asyncIterator in value ? value[Symbol.asyncIterator]() : value);
        return reference;
      }
      if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(visit);
      return isPlain(value) ? Object.fromEntries(Object.entries(value).map(([key, x]) => [key, visit(x)])) : value;
    };
    return visit(value);
  };

  /** @param release called when an iterable that came has been used up */
  const decode = (value: unknown, release?: () => void): unknown => {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map((x) => decode(x));
    if (!isPlain(value)) return value;
    if (!isReference(value)) return Object.fromEntries(Object.entries(value).map(([key, x]) => [key, decode(x)]));
    if (value.$ === "error") return decodeError(value.error!);
    if (value.$ === "function")
      return (...args: unknown[]) => request({ kind: "apply", target: value.id, args: encode(args) });
    if (value.$ === "iterable") return iterate(value.id, release);
    const controller = new AbortController();
    aborts.set(value.id, controller);
    return controller.signal;
  };

  async function* iterate(target: number, release?: () => void): AsyncGenerator<unknown> {
    let finished = false;
    try {
      for (;;) {
        const { done, value } = (await request({ kind: "next", target })) as IteratorResult<unknown>;
        finished = done === true;
        if (finished) return value;
        yield value;
      }
    } catch (error) {
      finished = true;
      throw error;
    } finally {
      if (!finished && !ended) post({ kind: "return", target });
      release?.();
    }
  }

  type Request = Omit<Sent & { kind: "call" }, "id"> | Omit<Sent & { kind: "apply" | "next" }, "id">;
  const request = (message: Request, release?: () => void): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (ended) throw ended;
      const id = ++last;
      waiting.set(id, { resolve: (value) => resolve(decode(value, release)), reject });
      post({ ...message, id } as Sent);
    });

  const answer = async (id: number, make: () => unknown): Promise<void> => {
    let message: Sent;
    try {
      const made = make();
      // What can be awaited and iterated, as a run of fit, is iterated.
      const isMany = typeof made === "object" && made !== null && isIterable(made);
      message = { kind: "done", id, value: encode(isMany ? made : await made) };
    } catch (error) {
      message = { kind: "failed", id, error: encodeError(error) };
    }
    try {
      post(message);
    } catch (error) {
      // What cannot be copied, such as an object with methods.
      post({ kind: "failed", id, error: encodeError(error) });
    }
  };

  const receive = (message: Sent): void => {
    switch (message.kind) {
      case "call": {
        const args = decode(message.args) as unknown[];
        void answer(message.id, () => {
          const method = (own as Record<string, AnyFunction | undefined>)[message.method];
          if (typeof method !== "function") throw new TypeError(`There is no method ${message.method} here.`);
          return method.apply(own, args);
        });
        break;
      }
      case "apply": {
        const args = decode(message.args) as unknown[];
        void answer(message.id, () => functions.get(message.target)?.(...args));
        break;
      }
      case "next":
        void answer(message.id, async () => {
          let ends = true;
          try {
            const { done, value } = await iterators.get(message.target)!.next();
            ends = done === true;
            return { done, value };
          } finally {
            if (ends) iterators.delete(message.target);
          }
        });
        break;
      case "return":
        void iterators.get(message.target)?.return?.();
        iterators.delete(message.target);
        break;
      case "abort":
        aborts.get(message.target)?.abort(decode(message.reason));
        aborts.delete(message.target);
        break;
      case "done":
        waiting.get(message.id)?.resolve(message.value);
        waiting.delete(message.id);
        break;
      case "failed":
        waiting.get(message.id)?.reject(decodeError(message.error));
        waiting.delete(message.id);
    }
  };

  const end = (reason: Error): void => {
    ended ??= reason;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  const broke = (what: unknown): void => {
    const message = typeof what === "object" && what !== null && "message" in what ? what.message : what;
    end(
      decodeError({ name: "PlatformError", message: `The worker has ended: ${message || "it could not be started"}.` }),
    );
  };

  if (port.addEventListener) {
    port.addEventListener("message", ({ data }: { data: Sent }) => receive(data));
    port.addEventListener("error", broke);
    port.addEventListener("messageerror", () => broke("a message could not be read"));
    port.start?.();
  } else {
    port.on?.("message", receive);
    port.on?.("error", broke);
    port.on?.("exit", (code: number) => broke(`exit code ${code}`));
  }

  return {
    call(method, ...args) {
      const forget: (() => void)[] = [];
      const release = (): void => {
        for (const each of forget) each();
      };
      return request({ kind: "call", method, args: encode(args, forget) }, release).then(
        (value) => {
          // What iterates goes on with the functions and signals that it was given.
          if (!(typeof value === "object" && value !== null && Symbol.asyncIterator in value)) release();
          return value as never;
        },
        (error) => {
          release();
          throw error;
        },
      );
    },
    close(reason = decodeError({ name: "PlatformError", message: "The worker was closed." })) {
      end(reason);
      if (port.terminate) void port.terminate();
      else port.close?.();
    },
  };
}
