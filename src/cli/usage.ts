/** What a process uses, as the system says. */
import { readFileSync } from 'node:fs';

/** CPU milliseconds used and bytes resident, from /proc; null on other systems. */
export function processUsage(pid: number): { cpu: number; memory: number } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    return { cpu: (Number(fields[11]) + Number(fields[12])) * 10, memory: pages * 4096 };
  } catch {
    return null;
  }
}
