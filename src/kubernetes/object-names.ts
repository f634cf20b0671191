/** Names of objects are those of records where Kubernetes allows them (as it does for its own nodes); others are written as bytes. */

/** What the name of an object begins with when it is not the record's own. */
export const ESCAPE = 'x--';

/** RFC 1123 subdomain, in the API server's words. */
const OBJECT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const OBJECT_NAME_LENGTH_MAX = 253;

/** The object of a record: `e10.3` → `e10.3`, `Node_7` → `x--4e6f64655f37`. Undefined for a name that is empty, too long or no text. */
export function objectNameOf(name: string): string | undefined {
  if (name === '' || !name.isWellFormed()) return undefined;
  const isPlain = OBJECT_NAME.test(name) && !name.startsWith(ESCAPE);
  const objectName = isPlain ? name : ESCAPE + Buffer.from(name).toString('hex');
  return objectName.length > OBJECT_NAME_LENGTH_MAX ? undefined : objectName;
}

/** The record of an object; undefined for an object that is none. */
export function recordNameOf(objectName: string): string | undefined {
  const name = objectName.startsWith(ESCAPE) ? Buffer.from(objectName.slice(ESCAPE.length), 'hex').toString() : objectName;
  return objectNameOf(name) === objectName ? name : undefined;
}
