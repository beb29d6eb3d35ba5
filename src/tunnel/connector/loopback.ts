/** Whether a host is this machine by its very name: what goes there crosses no network. */
import { isIPv4 } from 'node:net';

/** `host` as in a URL or without brackets. SAFETY: 127.example.com is a name, and anybody's. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.');
  return host === '::1' || host === '[::1]' || /(^|\.)localhost$/i.test(host);
}
