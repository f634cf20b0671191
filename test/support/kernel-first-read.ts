import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';

/**
 * Reads from a volume's device as soon as there is one, as udev does: `node kernel-first-read.js e10.3 <offset>`. Prints how that ended.
 * It looks without a pause, because the initiator sets the device in the milliseconds after it was made.
 */
const [name, offset] = process.argv.slice(2);

function devices(): string[] {
  return readdirSync('/sys/block').filter((each) => {
    try {
      return readFileSync(`/sys/block/${each}/backend`, 'utf8').startsWith(`aoe-csi/${name}/`);
    } catch {
      return false;
    }
  });
}

/** Nothing is read of a device that has no size yet. */
function read(): string {
  for (;;) {
    for (const device of devices()) {
      try {
        const fd = openSync(`/dev/${device}`, 'r');
        const bytes = readSync(fd, Buffer.alloc(4096), 0, 4096, Number(offset));
        closeSync(fd);
        if (bytes > 0) return `${String(bytes)} bytes`;
      } catch (error) {
        const { code = '' } = error as { code?: string };
        if (code === 'EIO') return code;
      }
    }
  }
}

process.stdout.write('looks\n');
process.stdout.write(`${read()}\n`);
