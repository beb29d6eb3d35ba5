/**
 * What every benchmark shares: rows of samples, goals over rows, the result file and the closing line.
 *
 * Peers are measured side by side in one run, in interleaved rounds, because a machine drifts by more than the
 * differences that matter here; figures of different runs must not be compared, ratios within a run may.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { judge } from './formula.ts';

export interface Row {
  readonly id: string;
  readonly peer: string;
  readonly case: string;
  readonly median: number;
  /** Distance between the quartiles, in `unit`. */
  readonly spread: number;
  readonly unit: string;
  readonly samples: readonly number[];
}
export interface Goal {
  readonly id: string;
  readonly goal: string; // for people
  readonly formula: string;
  readonly measured: number;
  readonly unit: string;
  readonly holds: boolean;
}
export interface Result {
  readonly benchmark: string;
  readonly command: string;
  readonly quick: boolean;
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
  /** What could not be measured, or must be known to read the rows. */
  readonly notes: readonly string[];
  readonly rows: readonly Row[];
  readonly goals: readonly Goal[];
}
export interface Options {
  readonly quick: boolean;
}
/** What `bench/NAME.ts` exports as `run`. */
export type Benchmark = (report: Report, options: Options) => Promise<void>;

export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) return Number.NaN;
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  return sorted[low]! + (sorted[Math.min(low + 1, sorted.length - 1)]! - sorted[low]!) * (at - low);
}

export class Report {
  readonly name: string;
  readonly rows: Row[] = [];
  readonly goals: Goal[] = [];
  readonly notes: string[] = [];
  readonly machine: Record<string, string | number> = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMB: Math.round(totalmem() / 1048576),
    kernel: release(),
    node: process.versions.node,
    v8: process.versions.v8,
  };

  constructor(name: string) {
    this.name = name;
  }

  row(id: string, peer: string, case_: string, unit: string, samples: readonly number[]): void {
    if (this.rows.some((row) => row.id === id)) throw new Error(`row ${id} twice`);
    const rounded = samples.map((sample) => Number(sample.toPrecision(6)));
    const median = quantile(rounded, 0.5);
    this.rows.push({
      id,
      peer,
      case: case_,
      median,
      spread: quantile(rounded, 0.75) - quantile(rounded, 0.25),
      unit,
      samples: rounded,
    });
  }

  goal(id: string, goal: string, formula: string, unit: string): void {
    this.goals.push({ id, goal, formula, unit, ...verdictOf(formula, this.rows) });
  }

  note(text: string): void {
    this.notes.push(text);
    console.log(`note: ${text}`);
  }
}

function verdictOf(formula: string, rows: readonly Row[]): { measured: number; holds: boolean } {
  const { measured, holds } = judge(formula, (id) => {
    const row = rows.find((candidate) => candidate.id === id);
    if (!row) throw new Error(`formula ${JSON.stringify(formula)}: there is no row ${id}`);
    // From the samples, not from `median`: that is the figure that was measured. No samples is NaN, and never holds.
    return quantile(row.samples, 0.5);
  });
  return { measured, holds };
}

function shown(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value >= 1000 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(3);
}

export function print(result: Result): void {
  const cells = result.rows.map((row) => [
    row.id,
    shown(row.median),
    `±${shown(row.spread / 2)}`,
    row.unit,
    `${row.peer}: ${row.case}`,
  ]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...cells.map((line) => line[column]!.length)));
  for (const line of cells) {
    console.log(
      `  ${line[0]!.padEnd(widths[0]!)}  ${line[1]!.padStart(widths[1]!)} ${line[2]!.padStart(widths[2]!)} ${line[3]!.padEnd(widths[3]!)}  ${line[4]}`,
    );
  }
  for (const goal of result.goals) {
    console.log(
      `  ${goal.holds ? 'holds      ' : 'FALLS SHORT'}  ${goal.id}: ${goal.goal}\n               ${goal.formula}: ${shown(goal.measured)} ${goal.unit}`,
    );
  }
}

const fileOf = (name: string): URL => new URL(`../results/${name}.json`, import.meta.url);

export function closing(result: Pick<Result, 'benchmark' | 'goals'>): string {
  return `${result.benchmark}: ${result.goals.filter((goal) => goal.holds).length} of ${result.goals.length} goals hold`;
}

export async function runBenchmark(name: string, run: Benchmark, options: Options, command: string): Promise<void> {
  const report = new Report(name);
  await run(report, options);
  const { machine, notes, rows, goals } = report;
  const result: Result = {
    benchmark: name,
    command,
    quick: options.quick,
    date: new Date().toISOString(),
    machine,
    notes,
    rows,
    goals,
  };
  mkdirSync(new URL('../results/', import.meta.url), { recursive: true });
  // A quick run is for the eye: too short to stand beside the kept result.
  const target = fileOf(options.quick ? `${name}.quick` : name);
  writeFileSync(target, `${JSON.stringify(result, null, 1)}\n`);
  print(result);
  console.log(closing(result));
}

/** Recomputes every median and every goal of a result file from its samples; the list of what does not agree. */
export function verify(result: Result): string[] {
  const faults: string[] = [];
  const ids = new Set<string>();
  for (const row of result.rows) {
    if (ids.has(row.id)) faults.push(`row ${row.id} is there twice`);
    ids.add(row.id);
    // JSON has no NaN: the median of a row without samples is null.
    const median = quantile(row.samples, 0.5);
    if (row.samples.length === 0 ? row.median !== null && !Number.isNaN(row.median) : !close(median, row.median)) {
      faults.push(`row ${row.id}: median ${row.median}, from its samples ${median}`);
    }
  }
  if (result.goals.length === 0) faults.push('there are no goals');
  for (const goal of result.goals) {
    try {
      const { measured, holds } = verdictOf(goal.formula, result.rows);
      if (Number.isNaN(measured) ? goal.measured !== null : !close(measured, goal.measured)) {
        faults.push(`goal ${goal.id}: measured ${goal.measured}, from the rows ${measured}`);
      }
      if (holds !== goal.holds) faults.push(`goal ${goal.id}: holds ${goal.holds}, from the rows ${holds}`);
    } catch (error) {
      faults.push(`goal ${goal.id}: ${(error as Error).message}`);
    }
  }
  return faults;
}

function close(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
}

export function readResult(name: string): Result {
  return JSON.parse(readFileSync(fileOf(name), 'utf8')) as Result;
}
