/**
 * The configuration of a peer around a rule set: what ModSecurity's recommended configuration turns on, in our words, so
 * that every engine reads the same files and inspects the same parts.
 */
import { join } from 'node:path';

export interface Configuration {
  /** Folder of CRS: crs-setup.conf.example and rules/. */
  readonly crs: string;
  /** `log` runs every rule and lets pass, `enforce` ends the transaction. */
  readonly mode: 'log' | 'enforce';
  readonly paranoia: 1 | 2 | 3 | 4;
  /** SecLang between the set-up and the rules. */
  readonly extra?: string;
}

/** What the regression suite asks for. SPEC: tests/regression/README.md of CRS. */
export const SUITE_SETTINGS = [
  'SecAction "id:900005,phase:1,nolog,pass,ctl:ruleRemoveById=910000',
  'setvar:tx.blocking_paranoia_level=4',
  'setvar:tx.crs_validate_utf8_encoding=1',
  'setvar:tx.arg_name_length=100',
  'setvar:tx.arg_length=400',
  'setvar:tx.total_arg_length=64000',
  'setvar:tx.max_num_args=255',
  'setvar:tx.max_file_size=64100',
  'setvar:tx.combined_file_sizes=65535"',
].join(',');

export function peerConfiguration({ crs, mode, paranoia, extra = '' }: Configuration): string {
  return `SecRuleEngine ${mode === 'log' ? 'DetectionOnly' : 'On'}
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecResponseBodyAccess On
SecResponseBodyLimit 1048576
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecAuditEngine Off
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:application|text)/(?:[a-z0-9.-]+[+])?xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/(?:[a-z0-9.-]+[+])?json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,t:none,pass,log,msg:'The body could not be parsed',logdata:'%{REQBODY_ERROR_MSG}'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,t:none,pass,log,msg:'The multipart body is not strict'"
Include ${join(crs, 'crs-setup.conf.example')}
SecAction "id:900000,phase:1,pass,t:none,nolog,setvar:tx.blocking_paranoia_level=${paranoia}"
${extra}
Include ${join(crs, 'rules')}/*.conf
`;
}
