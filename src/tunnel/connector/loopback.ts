/** Whether a host is this machine by its very name: what goes there crosses no network. */
import { isIP } from 'node:net';

/** `host` as in a URL or without brackets. SAFETY: 127.example.com is a name, and anybody's. */
export function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith('127.');
  return host === '::1' || host === '[::1]' || /(^|\.)localhost$/i.test(host);
}
