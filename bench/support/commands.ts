import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** Those of `commands` that PATH doesn't lead to. */
export function missingCommands(commands: readonly string[]): string[] {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return commands.filter((command) => !directories.some((directory) => isExecutable(join(directory, command))));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
