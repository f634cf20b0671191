import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { EVENTS_FILE, type GuestEvent } from '../protocol.ts';

/** Where a process of the guest tells the host what happens. */
export class EventLog {
  readonly #path: string;

  /** @param folder the one that host and guest share */
  constructor(folder: string) {
    this.#path = join(folder, EVENTS_FILE);
  }

  write(event: GuestEvent): void {
    appendFileSync(this.#path, `${JSON.stringify(event)}\n`);
  }
}
