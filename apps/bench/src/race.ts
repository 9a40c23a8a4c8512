/**
 * Times contestants in turns: each round has one lap of each, so other work on the computer affects all of them. Ratios
 * are computed within a round, and the median is taken of ratios, not of times.
 */

import { setTimeout } from "node:timers/promises";
import type { Contestant, Prepared } from "./contestant.ts";
import { median } from "./median.ts";
import { check, reset } from "./workload.ts";
import type { Check, Workload } from "./workload.ts";

export interface RaceOptions {
  /** Time for all laps together; 0 for a smoke test, which does not warm up either. */
  readonly seconds: number;
  /** The smallest number of rounds for a median, for any duration. */
  readonly rounds: number;
  /** Sweeps the caches before each lap, which is then one call: as in a model, whose layers read gigabytes between. */
  readonly cold?: boolean;
}

/** The result of one contestant. */
export interface Result {
  readonly name: string;
  readonly source: string;
  readonly check: Check;
  /** Microseconds for one call that rotates queries and keys. */
  readonly median: number;
  readonly fastest: number;
  readonly rounds: number;
  /** The speed compared with other contestants, by their names: 2 is twice as fast. */
  readonly timesFasterThan: Readonly<Record<string, number>>;
}

/** The duration of a lap: long enough for the clock, short enough for many rounds. */
const LAP_MICROSECONDS = 300;
/** JavaScript compilers run in the background. Several passes with pauses let them finish and reoptimize. */
const WARM_UP = { passes: 3, microseconds: 50_000, pauseMilliseconds: 20 };

/**
 * Checks every contestant, then times them.
 *
 * @throws Error if a result is wrong. Then no contestant is timed.
 */
export async function race(
  workload: Workload,
  contestants: readonly Contestant[],
  yardsticks: readonly Contestant[],
  options: RaceOptions,
): Promise<Result[]> {
  const runners: { contestant: Contestant; prepared: Prepared; check: Check; laps: number[]; repeat: number }[] = [];
  for (const contestant of contestants) {
    const prepared = await contestant.prepare(workload);
    if (prepared === undefined) continue;
    runners.push({ contestant, prepared, check: await verify(workload, contestant, prepared), laps: [], repeat: 1 });
  }

  for (let pass = 0; pass < (options.seconds > 0 ? WARM_UP.passes : 1); pass++) {
    for (const runner of runners) {
      let calls = 1;
      let spent = await time(runner.prepared, 1);
      for (; options.seconds > 0 && spent < WARM_UP.microseconds; calls++) spent += await time(runner.prepared, 1);
      // From all calls, not the last one: after an interrupted call, laps would be single calls with cold caches and
      // idle threads.
      runner.repeat = options.seconds > 0 ? Math.ceil((LAP_MICROSECONDS * calls) / spent) : 1;
    }
    await setTimeout(WARM_UP.pauseMilliseconds);
  }
  const end = performance.now() + options.seconds * 1000;
  for (let round = 0; round < options.rounds || performance.now() < end; round++) {
    // The order changes, because the contestant before leaves its data in all caches. Half a lap without the clock
    // removes most of this effect.
    for (const { prepared, repeat, laps } of shuffled(runners)) {
      if (options.cold) {
        sweepCaches();
        laps.push(await time(prepared, 1));
        continue;
      }
      if (options.seconds > 0) await time(prepared, Math.ceil(repeat / 2));
      laps.push(await time(prepared, repeat));
    }
  }
  for (const { prepared } of runners) await prepared.dispose?.();

  return runners.map(({ contestant, check, laps }) => {
    const timesFasterThan: Record<string, number> = {};
    for (const other of runners) {
      if (yardsticks.includes(other.contestant)) {
        timesFasterThan[other.contestant.name] = median(laps.map((lap, round) => other.laps[round]! / lap));
      }
    }
    return {
      name: contestant.name,
      source: contestant.source,
      check,
      median: median(laps),
      fastest: Math.min(...laps),
      rounds: laps.length,
      timesFasterThan,
    };
  });
}

/** More than any cache of a processor that this has run on, those that cores share among them. */
const swept = new Float64Array(2 ** 23);

/** Reads and writes 64 MiB, a line of 64 bytes after the other, so that nothing else stays in a cache. */
function sweepCaches(): void {
  for (let i = 0; i < swept.length; i += 8) swept[i]! += 1;
}

async function verify(workload: Workload, contestant: Contestant, prepared: Prepared): Promise<Check> {
  reset(workload);
  workload.spare.query.fill(0);
  workload.spare.key.fill(0);
  await prepared.run();
  if (prepared.isCopy) {
    const same =
      prepared.result.query.every((value, i) => value === workload.pristine.query[i]) &&
      prepared.result.key.every((value, i) => value === workload.pristine.key[i]);
    if (!same) throw new Error(`${contestant.name}: the copy differs from what was copied`);
    return { error: 0, tolerance: 0 };
  }
  const result = check(workload, prepared.result, contestant.angles);
  if (!(result.error <= result.tolerance)) {
    throw new Error(
      `${contestant.name}, ${workload.tokens} tokens, ${workload.pairing}, ${workload.dtype}: wrong by ${result.error}, at most ${result.tolerance} is rounding`,
    );
  }
  return result;
}

function shuffled<T>(items: readonly T[]): T[] {
  const keyed = items.map((item) => ({ item, key: Math.random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item);
}

/** Microseconds of one of `repeat` runs. */
async function time({ run, isAsync }: Prepared, repeat: number): Promise<number> {
  const start = performance.now();
  if (isAsync) for (let i = 0; i < repeat; i++) await run();
  else for (let i = 0; i < repeat; i++) run();
  return ((performance.now() - start) * 1000) / repeat;
}
