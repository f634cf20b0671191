/**
 * Every npm script of this project: `node tools/run.js <job> [--no-install] [arguments of the job]`.
 *
 * Runs on Node 20 and before `npm ci`, because it is what fetches a newer Node and what calls `npm ci`. Makes ready what the job
 * needs, says in one line each what it does, then becomes the job: same terminal, same exit code.
 */

import { buildSources } from './run/build.js';
import { ensureDebianPackages } from './run/debian-packages.js';
import { ensureDependencies } from './run/dependencies.js';
import { JOBS } from './run/jobs.js';
import { ensureNode } from './run/node-runtime.js';
import { runInForeground } from './run/processes.js';
import { Refusal, repositoryRoot } from './run/common.js';

async function main() {
  const [jobName, ...rest] = process.argv.slice(2);
  const job = JOBS[jobName];
  if (job === undefined) throw new Refusal(`no job "${jobName}"; there are: ${Object.keys(JOBS).join(', ')}`);

  process.chdir(repositoryRoot);
  const mayInstall = !rest.includes('--no-install');
  const jobArguments = rest.filter((argument) => argument !== '--no-install');

  ensureNode(mayInstall);
  ensureDebianPackages(job.debianPackages(jobArguments), mayInstall, job.runsWithoutPackages);
  ensureDependencies(mayInstall);
  for (const command of [...(job.build ? buildSources() : []), ...job.commands(jobArguments)]) {
    const exitCode = await runInForeground(command);
    if (exitCode !== 0) return exitCode;
  }
  return 0;
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error) => {
    console.error(error instanceof Refusal ? `aoe-csi: ${error.message}` : error);
    process.exit(1);
  },
);
