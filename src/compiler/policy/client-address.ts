/** `clientAddress:` of a policy: who is believed about where a request comes from. */
import { parseCidr } from '../lists.ts';
import type { SettingsSource } from '../sources.ts';
import { shown } from '../spelling.ts';
import { checkHostBits } from './list.ts';
import type { Reading } from './reading.ts';
import type { Settings } from './schema.ts';

export function readClientAddress(settings: Settings, reading: Reading): SettingsSource['clientAddress'] {
  const document = reading.reporter;
  const { trustedHops, trustedCIDRs, failClosed } = settings.clientAddress;
  const from = settings.clientAddress.from ?? (reading.target === 'cloudflare' ? 'cf' : 'peer');
  const at = ['clientAddress'];
  if (from === 'cf' && reading.target === 'workerd') {
    document.report('error', [...at, 'from'], 'client-address', '`from: cf` means nothing on-prem', {
      cause: 'anybody can send CF-Connecting-IP',
      fix: 'leave it out: the default fits each target',
    });
  }
  if (from === 'xff' && trustedHops === 0 && trustedCIDRs.length === 0) {
    document.report('error', at, 'client-address', '`from: xff` needs `trustedHops` or `trustedCIDRs`', {
      at: 'key',
      cause: 'X-Forwarded-For is believed only from proxies that are named',
    });
  }
  if (from !== 'xff' && trustedHops > 0) {
    document.report(
      'warning',
      [...at, 'trustedHops'],
      'no-effect',
      `\`trustedHops\` has no effect with \`from: ${from}\``,
    );
  }
  const sound = trustedCIDRs.filter((cidr, index) => {
    if (parseCidr(cidr) !== undefined) {
      checkHostBits(cidr, [...at, 'trustedCIDRs', index], document);
      return true;
    }
    document.report(
      'error',
      [...at, 'trustedCIDRs', index],
      'bad-address',
      `\`${shown(cidr)}\` is not an address or CIDR block`,
      { fix: 'write it as 10.0.0.0/8 or fd00::/8' },
    );
    return false;
  });
  return { from, trustedHops, trustedCIDRs: sound, failClosed };
}
