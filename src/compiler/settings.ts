/** SECTION_SETTINGS: what the engine needs to know about an app before routing. */
import {
  CLIENT_CF,
  CLIENT_PEER,
  CLIENT_XFF,
  SETTING_CLIENT_FROM,
  SETTING_FAIL_CLOSED,
  SETTING_MERGE_SLASHES,
  SETTING_REJECT_ESCAPED_SLASHES,
  SETTING_SIGNALS,
  SETTING_TRUSTED_HOPS,
  SETTING_TRUSTED_LIST,
  SETTING_WORDS,
} from '../../assembly/abi.ts';
import { ByteWriter, type Pools } from './image.ts';
import type { SettingsSource } from './sources.ts';

const FROM = { peer: CLIENT_PEER, xff: CLIENT_XFF, cf: CLIENT_CF };

export function compileSettings(settings: SettingsSource, pools: Pools): Uint8Array {
  const { from, trustedHops, trustedCIDRs, failClosed } = settings.clientAddress;
  const words = new Uint32Array(SETTING_WORDS);
  words[SETTING_CLIENT_FROM] = FROM[from];
  words[SETTING_TRUSTED_HOPS] = trustedHops;
  words[SETTING_TRUSTED_LIST] = trustedCIDRs.length === 0 ? 0xffffffff : pools.lists.addresses(trustedCIDRs);
  words[SETTING_FAIL_CLOSED] = failClosed ? 1 : 0;
  words[SETTING_REJECT_ESCAPED_SLASHES] = settings.escapedSlashes === 'reject' ? 1 : 0;
  words[SETTING_SIGNALS] = settings.signals ? 1 : 0;
  words[SETTING_MERGE_SLASHES] = settings.mergeSlashes ? 1 : 0;
  const writer = new ByteWriter(SETTING_WORDS * 4);
  for (const word of words) writer.u32(word);
  return writer.finish();
}
