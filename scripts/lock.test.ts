import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from './build.ts';

interface Locked {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

// npm leaves a platform's package out of the lock when the registry does not have it (yet); `npm ci` then refuses the
// whole lock, on every platform. What is pinned has to be complete.
test('every optional package that a locked one names is locked too', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Locked>>;
  };
  const places = Object.keys(packages);
  const locked = (name: string) => places.some((place) => place.endsWith(`node_modules/${name}`));
  const missing = Object.entries(packages).flatMap(([place, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !locked(name))
      .map((name) => `${place} needs ${name}`),
  );
  assert.deepEqual(missing, []);
});
