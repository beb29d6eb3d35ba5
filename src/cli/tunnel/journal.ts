/** What a connector that systemd runs has said so far, from the journal of its unit: whether the tunnel is up. */
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK = 250; // ms between looks

export interface UnitState {
  /** `waiting`: no word of either yet, or the edge is dialled again. */
  readonly state: 'ready' | 'failed' | 'waiting';
  /** Where the public reaches a tunnel that is up; why it is not. '' where nothing was said. */
  readonly detail: string;
}

/** The last word of a connector in its lines of `tunnel listen --json`. */
export function stateOf(lines: readonly string[]): UnitState {
  let last: UnitState = { state: 'waiting', detail: '' };
  for (const line of lines) {
    const { event, url, reason, ok, error } = parsed(line);
    if (event === 'ready') last = { state: 'ready', detail: String(url ?? '') };
    else if (event === 'reconnecting') last = { state: 'waiting', detail: String(reason ?? '') };
    else if (ok === false) last = { state: 'failed', detail: String(error ?? '') };
  }
  return last;
}

/** Looks until the connector of a unit that was just started is up or has failed, for at most `patience` ms. */
export async function unitState(unit: string, patience: number): Promise<UnitState> {
  for (const late = Date.now() + patience; ;) {
    const invocation = said('systemctl', ['show', '-P', 'InvocationID', unit]).trim();
    const lines = invocation === '' ? '' : said('journalctl', ['-o', 'cat', `_SYSTEMD_INVOCATION_ID=${invocation}`]);
    const found = stateOf(lines.split('\n'));
    if (found.state !== 'waiting' || Date.now() > late) return found;
    await sleep(LOOK);
  }
}

function parsed(line: string): Partial<Record<'event' | 'url' | 'reason' | 'ok' | 'error', unknown>> {
  try {
    return Object(JSON.parse(line));
  } catch {
    return {}; // systemd's own
  }
}

/** What a command prints, '' where it fails. */
function said(command: string, args: readonly string[]): string {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? stdout : '';
}
