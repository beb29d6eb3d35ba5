/** What session 0 of a tunnel remembers, in SQLite: the name's owner, what was revoked, nonces, how many sessions. */
import { type AccessRule, PUBLIC } from './access.ts';
import { HANDSHAKE_SECONDS } from './capability.ts';
import { CLOSE } from './frame.ts';
import { type Admission, type Claim } from './objects.ts';

/** Of one tunnel within two minutes: 256 lanes may be dialled again eight times each. */
export const MAX_NONCES = 2048;
/** Of guests beside them. They leave the others free: no guest keeps a connector out. */
export const MAX_GUEST_NONCES = 2048;

/** A Durable Object's SQL storage, as far as it is used here. */
export interface Sql {
  exec(query: string, ...values: (string | number)[]): { toArray(): Record<string, unknown>[] };
}

export class SessionMemory {
  readonly #sql: Sql;
  #ready = false;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Tables come into being with the first claim that was proven, so that asking for a tunnel costs no storage. */
  #open(): void {
    if (this.#ready) return;
    this.#sql.exec('CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID');
    this.#sql.exec('CREATE TABLE IF NOT EXISTS nonce (nonce TEXT PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID');
    this.#ready = true;
  }

  #fact(name: string): string {
    if (!this.#ready) {
      const known = this.#sql.exec(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'fact'`).toArray();
      if (known.length === 0) return '';
      this.#open();
    }
    const [row] = this.#sql.exec('SELECT value FROM fact WHERE name = ?', name).toArray();
    return row === undefined ? '' : String(row['value']);
  }

  #remember(name: string, value: string): void {
    this.#open();
    this.#sql.exec('INSERT INTO fact VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value', name, value);
  }

  get project(): string {
    return this.#fact('project');
  }
  get revoked(): number {
    return Number(this.#fact('revoked'));
  }
  get sessions(): number {
    return Number(this.#fact('sessions') || 1);
  }

  admit({ project, generation, nonce, time, purpose, exposure, host }: Claim, now: number): Admission {
    const owner = this.project;
    if (purpose === 'access') {
      if (owner === '') return refused(404, CLOSE.unauthorised, 'there is no such tunnel');
      if (owner !== project && owner !== host)
        return refused(
          403,
          CLOSE.unauthorised,
          'the tunnel belongs to another project, which does not offer it',
          owner,
        );
    } else if (owner !== '' && owner !== project)
      return refused(409, CLOSE.taken, 'the name of the tunnel belongs to another project');
    if (generation <= this.revoked) return refused(403, CLOSE.revoked, 'the capability was revoked');
    this.#open();
    this.#sql.exec('DELETE FROM nonce WHERE expires < ?', now);
    const [count] = this.#sql.exec('SELECT COUNT(*) AS count FROM nonce').toArray();
    const most = purpose === 'access' ? MAX_GUEST_NONCES : MAX_GUEST_NONCES + MAX_NONCES;
    if (Number(count?.['count']) >= most)
      return refused(429, CLOSE.limit, `more than ${most} dials of the tunnel within two minutes`);
    const [used] = this.#sql.exec('SELECT 1 FROM nonce WHERE nonce = ?', nonce).toArray();
    if (used !== undefined) return refused(401, CLOSE.unauthorised, 'the handshake was used before');
    this.#sql.exec('INSERT INTO nonce VALUES (?, ?)', nonce, time + 2000 * HANDSHAKE_SECONDS);
    if (owner === '') this.#remember('project', project);
    // The last connector's word, which is the operator's: a capability says how its tunnels are exposed.
    if (purpose === 'serve' && (exposure ?? '') !== this.#fact('exposure')) this.#remember('exposure', exposure ?? '');
    return { admitted: true, sessions: this.sessions, fresh: this.#fact('listed') === '' };
  }

  /** False: another project has the name. */
  reserve(project: string): boolean {
    const owner = this.project;
    if (owner === '') this.#remember('project', project);
    return owner === '' || owner === project;
  }

  listed(): void {
    this.#remember('listed', '1');
  }

  get access(): AccessRule | null {
    const text = this.#fact('access');
    const rule = text === '' ? null : (JSON.parse(text) as AccessRule | null);
    const exposure = this.#fact('exposure');
    // Restricted by a capability that does not say to whom: to whom the registry says, or to nobody.
    const hidden = exposure === 'private' || (exposure === 'restricted' && rule?.access !== 'restricted');
    return hidden ? { ...PUBLIC, access: 'private' } : rule;
  }

  expose(rule: AccessRule | null): void {
    this.#remember('access', JSON.stringify(rule));
  }

  revoke(until: number): void {
    if (until > this.revoked) this.#remember('revoked', String(until));
  }

  spread(sessions: number): void {
    this.#remember('sessions', String(sessions));
  }

  /** Everything; the tables are gone with the storage. */
  forget(): void {
    this.#ready = false;
  }
}

function refused(status: number, code: number, reason: string, owner = ''): Admission {
  return { admitted: false, status, code, reason, owner };
}
