/**
 * What generated message types are built from (tools/generate-messages.js).
 *
 * A generated interface describes a message as it arrives: all fields present, `null` for a message that was not sent, nothing at
 * all for the fields of a oneof that were not chosen.
 */

/** A message as somebody makes it: what has its default value may be left out. */
export type Init<T> = T extends string | number | boolean | null | undefined | Uint8Array
  ? T
  : T extends readonly (infer Element)[]
    ? readonly Init<Element>[]
    : string extends keyof T
      ? T
      : { readonly [Field in keyof T]?: Init<T[Field]> };

/** A method that answers once. */
export interface UnaryMethod<Request, Response> {
  readonly request: Request;
  readonly response: Response;
}

/** A method that answers with a stream. */
export interface StreamMethod<Request, Response> {
  readonly request: Request;
  readonly responses: Response;
}
