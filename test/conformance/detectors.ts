/**
 * Our detectors of SQL injection and XSS on the corpora and test vectors of libinjection, beside libinjection itself
 * where the system has it: attacks missed, ordinary texts taken for attacks, verdicts of vectors that we do not share.
 *
 * A corpus holds a text a line, URL-encoded; lines that begin with # are remarks. Its files say by their names what they
 * hold: `sqli-*` and `xss-*` attacks, `false_positives.txt` ordinary texts.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { askLibinjection, libinjectionLacks, type PeerVerdict } from '../../bench/peers/waf/libinjection.ts';
import { dataFolder } from '../data.ts';
import { loadDetectors, type Detectors } from '../support/detectors.ts';
import type { Outcome } from './gateway-api.ts';

/** Where we differ on purpose, by file and line (corpus) or number (vector). A line that stops differing fails. */
const ON_PURPOSE: Readonly<Record<string, string>> = {
  'sqli-themole.txt:4': 'no SQL of any server: ORDER BY misspelt, which a server answers with a syntax error',
  'false_positives.txt:323': 'an operator alone in quotes, which sqli-mysql-implicit.txt holds as an attack',
  'false_positives.txt:406': 'an operator alone in quotes, which sqli-mysql-implicit.txt holds as an attack',
  'test-sqli-012': 'a name and a comment, as in `main.css /* colours */`; without a quote before it it ends nothing',
};

interface Line {
  readonly id: string;
  readonly bytes: Uint8Array;
}

export async function runDetectors(only: readonly string[], report: (outcome: Outcome) => void): Promise<Outcome[]> {
  const root = dataFolder('libinjection');
  for (const folder of ['data', 'tests'])
    if (!existsSync(join(root, folder))) throw new Error(`${root} has no folder ${folder}: is it libinjection's?`);
  const detectors = await loadDetectors();
  const lacks = await libinjectionLacks();
  const outcomes: Outcome[] = [];
  const tell = (outcome: Outcome): void => {
    if (outcome.result !== 'passed') report(outcome);
    outcomes.push(outcome);
  };
  const missed = { sql: 0, xss: 0, alarms: 0 };
  const theirs = { sql: 0, xss: 0, alarms: 0 };

  const files = readdirSync(join(root, 'data')).filter((name) => /^(sqli-|xss-|false_positives).*\.txt$/.test(name));
  if (files.length === 0) throw new Error(`${join(root, 'data')} holds no corpus`);
  for (const file of files.sort()) {
    if (only.length > 0 && !only.some((start) => file.startsWith(start))) continue;
    const lines = linesOf(join(root, 'data', file), file);
    const peer = lacks === '' ? await askLibinjection(lines.map(({ bytes }) => bytes)) : [];
    const score = judgeFile(file, lines, detectors, peer, tell);
    const kind = file.startsWith('sqli-') ? 'sql' : file.startsWith('xss-') ? 'xss' : 'alarms';
    missed[kind] += score.ours;
    theirs[kind] += score.theirs;
    const beside = lacks === '' ? `, libinjection ${score.theirs}` : '';
    console.log(`${file}: ${lines.length} texts, ${kind === 'alarms' ? 'alarms' : 'missed'}: ${score.ours}${beside}`);
  }

  if (only.length === 0) {
    const total = (name: string, ours: number, peer: number): void => {
      console.log(`${name}: ours ${ours}${lacks === '' ? `, libinjection ${peer}` : ''}`);
    };
    total('attacks missed, SQL', missed.sql, theirs.sql);
    total('attacks missed, XSS', missed.xss, theirs.xss);
    total('alarms on ordinary texts', missed.alarms, theirs.alarms);
    const misses = missed.sql + missed.xss;
    tell(
      lacks !== ''
        ? { id: 'better than libinjection', result: 'skipped', detail: lacks }
        : {
            id: 'better than libinjection',
            result: misses < theirs.sql + theirs.xss && missed.alarms < theirs.alarms ? 'passed' : 'failed',
            detail: `misses ${misses} and ${theirs.sql + theirs.xss}, alarms ${missed.alarms} and ${theirs.alarms}`,
          },
    );
  }
  vectors(join(root, 'tests'), only, detectors, tell);
  return outcomes;
}

function judgeFile(
  file: string,
  lines: readonly Line[],
  detectors: Detectors,
  peer: readonly PeerVerdict[],
  tell: (outcome: Outcome) => void,
): { ours: number; theirs: number } {
  const score = { ours: 0, theirs: 0 };
  lines.forEach((line, index) => {
    const sql = detectors.sql(line.bytes);
    const xss = detectors.xss(line.bytes);
    const their = peer[index];
    let wrong: boolean;
    if (file.startsWith('sqli-')) {
      wrong = sql === '';
      if (their?.sql === false) score.theirs++;
    } else if (file.startsWith('xss-')) {
      wrong = !xss;
      if (their?.xss === false) score.theirs++;
    } else {
      wrong = sql !== '' || xss;
      if (their?.sql === true || their?.xss === true) score.theirs++;
    }
    if (wrong) score.ours++;
    tell(
      outcomeOf(line.id, wrong, `${sql || (xss ? 'XSS' : 'nothing found')}: ${JSON.stringify(printable(line.bytes))}`),
    );
  });
  return score;
}

function outcomeOf(id: string, wrong: boolean, detail: string): Outcome {
  const reason = ON_PURPOSE[id];
  if (wrong) return reason === undefined ? { id, result: 'failed', detail } : { id, result: 'skipped', detail: reason };
  if (reason === undefined) return { id, result: 'passed', detail: '' };
  return { id, result: 'failed', detail: 'is on the list of differences, but differs no longer: take it off' };
}

/** Vectors of the SQL verdict: an input, and a fingerprint when it is an attack. Others state tokens, no verdict. */
function vectors(
  folder: string,
  only: readonly string[],
  detectors: Detectors,
  tell: (outcome: Outcome) => void,
): void {
  let silent = 0;
  for (const name of readdirSync(folder).sort()) {
    const id = name.replace(/\.txt$/, '');
    if (only.length > 0 && !only.some((start) => id.startsWith(start))) continue;
    const parts = /--INPUT--\n([^]*?)\n--EXPECTED--\n?([^]*)$/.exec(readFileSync(join(folder, name), 'latin1'));
    if (!/^test-sqli-\d+$/.test(id) || parts === null) {
      silent++;
      continue;
    }
    const attack = (parts[2] as string).trim() !== '';
    const found = detectors.sql(Buffer.from((parts[1] as string).trim(), 'latin1'));
    tell(
      outcomeOf(id, (found !== '') !== attack, `${attack ? 'an attack' : 'no attack'}, found: ${found || 'nothing'}`),
    );
  }
  if (silent > 0) console.log(`vectors of tokens, which state no verdict: ${silent}`);
}

function linesOf(path: string, file: string): Line[] {
  const lines: Line[] = [];
  readFileSync(path, 'latin1')
    .split('\n')
    .forEach((raw, index) => {
      const text = raw.replace(/[ \t\r]+$/, '');
      if (text !== '' && !text.startsWith('#')) lines.push({ id: `${file}:${index + 1}`, bytes: urlDecoded(text) });
    });
  return lines;
}

/** As a form: plus is a space, a percent sign without two digits is itself. */
function urlDecoded(text: string): Uint8Array {
  const decoded = text
    .replaceAll('+', ' ')
    .replace(/%([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(decoded, 'latin1');
}

function printable(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').slice(0, 160);
}
