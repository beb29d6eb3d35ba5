/**
 * A rule set that scores as the CRS does, small enough to know by heart: levels behind gates, points by severity, a sum
 * that is compared with a threshold, in phases 2 and 4, and early in 1 and 3 where the policy wants that.
 * Words: `p1` to `p4` score critical at that level (in ARGS), `warn` 3, `note` 2, `early` critical in phase 1 (header
 * X-Word), `leak` error in the body of an answer, `status` critical for status 500.
 */
const RULES: readonly string[] = [
  `SecAction "id:10,phase:1,pass,nolog,setvar:tx.in=0,setvar:tx.seen=0,setvar:tx.out=0"`,
  // as in the CRS, what counts is up to the blocking level, what is seen up to the detection level
  ...[1, 2, 3, 4].flatMap((level) => [
    `SecRule TX:DETECTION_PARANOIA_LEVEL "@lt ${level}" "id:${100 + level},phase:2,pass,nolog,skipAfter:END-${level}"`,
    `SecRule ARGS "@rx (?i)\\bp${level}\\b" "id:${200 + level},phase:2,pass,log,t:none,t:urlDecodeUni,msg:'word of level ${level}',tag:'words',tag:'paranoia-level/${level}',severity:'CRITICAL',setvar:'tx.score_${level}=+5'"`,
    `SecMarker END-${level}`,
  ]),
  `SecRule ARGS "@pm warn" "id:210,phase:2,pass,log,msg:'a warning',tag:'words',severity:'WARNING',setvar:'tx.score_1=+3'"`,
  `SecRule ARGS "@streq note" "id:211,phase:2,pass,log,msg:'a note',tag:'notes',severity:'NOTICE',setvar:'tx.score_1=+2'"`,
  `SecRule REQUEST_HEADERS:X-Word "@contains early" "id:212,phase:1,pass,log,msg:'an early word',tag:'words',severity:'CRITICAL',setvar:'tx.score_1=+5'"`,
  `SecRule REQUEST_COOKIES "@contains p1" "id:213,phase:2,pass,log,msg:'a word in a cookie',tag:'cookies',severity:'CRITICAL',setvar:'tx.score_1=+5'"`,
  `SecRule REQUEST_BODY "@contains rawword" "id:214,phase:2,pass,log,msg:'in the raw body',tag:'words',severity:'CRITICAL',setvar:'tx.score_1=+5'"`,
  ...[1, 2, 3, 4].map(
    (level) =>
      `SecRule TX:BLOCKING_PARANOIA_LEVEL "@ge ${level}" "id:${300 + level},phase:2,pass,nolog,setvar:'tx.blocking_inbound_anomaly_score=+%{tx.score_${level}}'"`,
  ),
  ...[1, 2, 3, 4].map(
    (level) =>
      `SecRule TX:DETECTION_PARANOIA_LEVEL "@ge ${level}" "id:${330 + level},phase:2,pass,nolog,setvar:'tx.detection_inbound_anomaly_score=+%{tx.score_${level}}'"`,
  ),
  `SecRule TX:EARLY_BLOCKING "@eq 1" "id:310,phase:1,deny,status:403,log,msg:'early: %{tx.score_1}',chain"
  SecRule TX:SCORE_1 "@ge %{tx.inbound_anomaly_score_threshold}"`,
  `SecRule TX:BLOCKING_INBOUND_ANOMALY_SCORE "@ge %{tx.inbound_anomaly_score_threshold}" "id:320,phase:2,deny,status:403,log,msg:'inbound score %{tx.blocking_inbound_anomaly_score}'"`,
  `SecRule RESPONSE_STATUS "@eq 500" "id:401,phase:3,pass,log,msg:'a failure',tag:'answers',severity:'CRITICAL',setvar:'tx.blocking_outbound_anomaly_score=+5'"`,
  `SecRule TX:EARLY_BLOCKING "@eq 1" "id:410,phase:3,deny,status:403,log,msg:'early answer',chain"
  SecRule TX:BLOCKING_OUTBOUND_ANOMALY_SCORE "@ge %{tx.outbound_anomaly_score_threshold}"`,
  `SecRule RESPONSE_BODY "@rx leak-[0-9]+" "id:402,phase:4,pass,log,msg:'a leak',tag:'answers',severity:'ERROR',setvar:'tx.blocking_outbound_anomaly_score=+4'"`,
  `SecRule TX:BLOCKING_OUTBOUND_ANOMALY_SCORE "@ge %{tx.outbound_anomaly_score_threshold}" "id:420,phase:4,deny,status:403,log,msg:'outbound score %{tx.blocking_outbound_anomaly_score}'"`,
];

export const SCORING = RULES.join('\n');

/** As the value of a YAML block, indented by so many spaces. */
export const indented = (text: string, spaces: number): string =>
  text
    .split('\n')
    .map((line) => ' '.repeat(spaces) + line)
    .join('\n');
