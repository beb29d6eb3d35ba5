/** What one rule set may be made of. More is an error that names the limit; nothing is cut off in silence. */
export const MAX_RULE_FILES = 512; // files read, data files included
export const MAX_INCLUDE_DEPTH = 16;
export const MAX_RULE_SET_BYTES = 32 << 20; // characters of all files together
export const MAX_RULES = 16384; // rules, actions and markers
export const MAX_RULE_UPDATES = 4096; // directives that remove or update rules: each looks at every rule
export const MAX_CHAIN_LINKS = 64;
export const MAX_PHRASES = 65536; // of one operator
export const MAX_RULE_DIAGNOSTICS = 500; // the rest is counted in a last one, as bad as the worst of it
export const MAX_SELECTION_PATTERN_BYTES = 1024; // of an expression for tags, messages or names
