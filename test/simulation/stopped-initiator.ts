import type { Simulation } from './simulation.ts';

/**
 * The initiator's process is stopped, with I/O or its own questions under way, and finds answers of long ago when it goes on. Another
 * disk may have come meanwhile, announced or not.
 */
export function stopInitiator(simulation: Simulation): void {
  const { random, events, clients, initiator, strangers } = simulation;
  const stoppedUs = random.integer(0, simulation.healUs);
  const goesOnUs = stoppedUs + random.integer(4_000_000, 20_000_000);
  simulation.healUs = goesOnUs + random.integer(1_000_000, 3_000_000);
  const { target, disk } = random.pick(clients);
  const swaps = random.chance(0.7);
  if (random.chance(0.5)) {
    // It is being asked who it is at the time.
    events.at(Math.max(0, stoppedUs - random.integer(0, 300_000)), () => target.crash(false));
    events.at(Math.max(0, stoppedUs - random.integer(0, 2_000)), () => target.up || target.start(random.chance(0.5)));
  }
  events.at(stoppedUs, () => {
    initiator.stopped = true;
    for (const client of clients) client.resting = true;
    simulation.afterUs(1_000_000, () => target.crash(false));
    simulation.afterUs(3_500_000, () => {
      if (swaps && clients.every(({ volume }) => volume?.ready === true)) {
        target.disk = simulation.newDisk({ ...disk.identity, serial: 'other' });
        strangers.push(target.disk);
      }
      target.start(random.chance(0.5));
    });
  });
  events.at(goesOnUs, () => {
    initiator.goOn();
    for (const client of clients) {
      client.resting = false;
      client.submitRead();
    }
  });
  events.at(simulation.healUs - 500_000, () => {
    target.crash(false);
    target.disk = disk;
    target.start(true);
  });
}
