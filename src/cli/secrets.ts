/** `--secret NAME=env:VARIABLE` and `--secret NAME=file:PATH`: a value never stands on a command line. */
import { readFileSync } from 'node:fs';
import { Failure, sentence } from './failure.ts';

export function readSecrets(options: readonly string[]): Map<string, string> {
  const secrets = new Map<string, string>();
  for (const option of options) {
    const parts = /^([A-Za-z_][A-Za-z0-9_]*)=(env|file):(.+)$/s.exec(option);
    // The option is not repeated in the message: a value pasted in by mistake must not reach a log.
    if (parts === null) throw new Failure('--secret takes NAME=env:VARIABLE or NAME=file:PATH');
    const [, name = '', kind, where = ''] = parts;
    secrets.set(name, kind === 'env' ? fromEnvironment(name, where) : fromFile(name, where));
  }
  return secrets;
}

function fromEnvironment(name: string, variable: string): string {
  const value = process.env[variable];
  if (value === undefined)
    throw new Failure(`the secret ${name} is to come from the environment variable ${variable}, which is not set`);
  return value;
}

function fromFile(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new Failure(`the secret ${name} cannot be read: ${sentence(error)}`);
  }
}

/** What a deployment needs and was not given, as a sentence; null when nothing. */
export function missingSecret(
  deployment: { readonly secrets: readonly string[] },
  secrets: ReadonlyMap<string, string>,
): string | null {
  const missing = deployment.secrets.find((name) => !secrets.has(name));
  return missing === undefined
    ? null
    : `the policy needs the secret ${missing}; give it with --secret ${missing}=env:VARIABLE or --secret ${missing}=file:PATH`;
}
