// A small grammar of SQL: operands, expressions and SELECTs, read from the lexer one token at a time, forgiving where
// servers are. What was found comes back as a set of flags; whether that is an attack, sql-judge.ts says.
import { mark } from './sql-judge';
import {
  AMPERSAND, ARITHMETIC, back, BANG, BOTH, CAST, COMMA, COMMENT, COMPARISON, DOT, END, from, keep, kind, LEFT,
  LEFT_BRACE, NAME, next, NUMBER, ODD, OPEN_STRING, OPERATOR, PIPES, quote, RIGHT, RIGHT_BRACE, SEMICOLON, SIGN,
  STAR, STRING, stump, systemVariable, technical, TILDE, VARIABLE, WORD, word,
} from './sql-lexer';
import { selectStatement } from './sql-select';
import {
  WORD_ALL, WORD_AND, WORD_AS, WORD_BEGIN, WORD_BETWEEN, WORD_CASE, WORD_CATALOG, WORD_COLLATE, WORD_CONSTANT,
  WORD_DIV, WORD_END, WORD_FROM, WORD_FUNCTION, WORD_GOTO, WORD_IF, WORD_IN, WORD_INFORMANT, WORD_INSERT,
  WORD_INTERVAL, WORD_IS, WORD_LIKE, WORD_LOAD, WORD_MATCH, WORD_MODE, WORD_NOT, WORD_OBJECT, WORD_PROBE,
  WORD_SELECT, WORD_SOUNDS, WORD_TOP, WORD_TYPED, WORD_UNARY, WORD_UNION, WORD_VALUES, WORD_WEAPON, WORD_WHEN,
  WORD_WHILE, WORD_WITH,
} from './sql-words';

// FLAGS: what an expression is made of
export const F_NUMBER: u32 = 1;
export const F_STRING: u32 = 2;
export const F_REOPENED: u32 = 4; // a string of the surrounding quote that the template closes
export const F_VARIABLE: u32 = 8;
export const F_NAME: u32 = 16;
export const F_CALL: u32 = 32; // f(..) of a function that no server has
export const F_FUNCTION: u32 = 64;
export const F_INFORMANT: u32 = 128;
export const F_WEAPON: u32 = 256;
export const F_SELECT: u32 = 512; // a sub-select that no sentence has
export const F_FAINT_SELECT: u32 = 1024; // one that a sentence may have
export const F_GROUP: u32 = 2048;
export const F_CONSTANT: u32 = 4096;
export const F_COMPARE: u32 = 8192;
export const F_SIGN: u32 = 16384; // + or - between operands
export const F_ARITHMETIC: u32 = 32768; // another operator between operands
export const F_PIPES: u32 = 65536; // || between operands
export const F_LOGIC: u32 = 131072;
export const F_TAUTOLOGY: u32 = 262144; // behind AND or OR: a comparison without any name
export const F_UNARY: u32 = 524288;
export const F_CASE: u32 = 1048576; // CASE WHEN .. THEN .. END
export const F_TECHNICAL: u32 = 2097152; // a name with an underscore, a digit or quotes, or one of the server's own
export const F_MODE: u32 = 4194304; // IN BOOLEAN MODE
export const F_TWO_FUNCTIONS: u32 = 8388608;
export const F_STUMP: u32 = 16777216; // 1.e.name
export const F_DANGLING: u32 = 33554432; // an operator without its right side
export const F_PROBE: u32 = 67108864; // a probe inside a function
export const F_ODD: u32 = 134217728; // an operator such as | between operands
export const F_TIMES: u32 = 536870912; // * DIV MOD & between operands
export const F_SPOKEN: u32 = 268435456; // the comparison is a word: LIKE, IS
/** What evidence a call or a group passes on to what is around it. */
export const EVIDENCE: u32 = F_INFORMANT | F_WEAPON | F_SELECT | F_FAINT_SELECT | F_STUMP | F_PROBE;

/** Operands within operands at most. */
const MAX_NESTING: i32 = 40;
let nesting: i32 = 0;


/** The quote that the value broke out of, or 0. */
let surrounding: u32 = 0;
/** Flags of what came after the last AND or OR of the expression read last, or of all of it. */
export let segment: u32 = 0;

/** Calls of probes so far. */
let probes: i32 = 0;

export function startGrammar(mark: u32): void {
  probes = 0;
  nesting = 0;
  surrounding = mark;
  segment = 0;
}

export function atWord(sort: u32): bool {
  return kind == WORD && word == sort;
}

/** The quote that opened the string at the end of the text is the one broken out of: the template closes it. */
function stringFlag(): u32 {
  return kind == OPEN_STRING && quote == surrounding ? F_REOPENED : F_STRING;
}

/** An expression; 0 when there is none here. */
export function expression(): u32 {
  const first = operand();
  return first == 0 ? 0 : more(first);
}

/** The rest of an expression whose first operand has the flags `left`. */
export function more(left: u32): u32 {
  let all = left;
  let part = left;
  let behindLogic = false;
  for (;;) {
    let adds: u32 = 0;
    if (kind == OPERATOR) {
      if (word == BANG) break;
      if (word == CAST) {
        next();
        if (kind != NAME && kind != WORD) break;
        next();
        if (kind == LEFT) arguments();
        continue;
      }
      if (word == BOTH) adds = F_LOGIC;
      else if (word == PIPES) adds = F_LOGIC | F_PIPES;
      else if (word == COMPARISON) adds = F_COMPARE;
      else if (word == SIGN) adds = F_SIGN;
      else if (word == ODD) adds = F_ARITHMETIC | F_ODD;
      else adds = word == STAR || word == AMPERSAND ? F_ARITHMETIC | F_TIMES : F_ARITHMETIC;
      next();
    } else if (kind == WORD) {
      const sort = word;
      if (sort == WORD_NOT) {
        keep();
        next();
        if (kind == WORD && (word == WORD_LIKE || word == WORD_IN || word == WORD_BETWEEN)) continue;
        back();
        break;
      }
      if (sort == WORD_AND) {
        adds = F_LOGIC;
        next();
      } else if (sort == WORD_LIKE) {
        adds = F_COMPARE | F_SPOKEN;
        next();
      } else if (sort == WORD_DIV) {
        adds = F_ARITHMETIC | F_TIMES;
        next();
      } else if (sort == WORD_SOUNDS) {
        keep();
        next();
        if (kind != NAME && !atWord(WORD_LIKE)) {
          back();
          break;
        }
        adds = F_COMPARE | F_SPOKEN;
        next();
      } else if (sort == WORD_IS) {
        const is = isTest();
        if (is == 0) break;
        part |= is;
        all |= is;
        continue;
      } else if (sort == WORD_IN) {
        keep();
        next();
        if (kind == LEFT) {
          part |= (arguments() & EVIDENCE) | F_COMPARE;
          all |= part;
          continue;
        }
        if (atWord(WORD_MODE)) {
          next();
          if (kind == NAME) next();
          all |= F_MODE;
          continue;
        }
        back();
        break;
      } else if (sort == WORD_BETWEEN) {
        next();
        const low = plain();
        if (low == 0 || !atWord(WORD_AND)) break;
        next();
        const high = plain();
        if (high == 0) break;
        part |= low | high | F_COMPARE;
        all |= part;
        continue;
      } else if (sort == WORD_COLLATE) {
        next();
        if (kind != NAME && kind != STRING) break;
        next();
        continue;
      } else break;
    } else break;

    // Only behind AND and OR: what tells attackers from others is that they forget the parentheses.
    const right = (adds & F_LOGIC) == 0 && atWord(WORD_SELECT) ? 0 : operand();
    if (right == 0) {
      all |= F_DANGLING | (adds & F_LOGIC);
      if ((adds & F_LOGIC) != 0) part = 0;
      break;
    }
    if ((adds & F_LOGIC) != 0) {
      if (behindLogic) all |= tautology(part);
      // `||` joins strings as well: what two functions make together.
      if ((part & right & F_FUNCTION) != 0) all |= F_TWO_FUNCTIONS;
      behindLogic = true;
      part = 0;
    }
    part |= right | (adds & ~F_LOGIC);
    all |= part | adds;
  }
  if (behindLogic) all |= tautology(part);
  segment = part;
  return all;
}

function tautology(part: u32): u32 {
  return (part & F_COMPARE) != 0 && (part & (F_NAME | F_CALL)) == 0 ? F_TAUTOLOGY : 0;
}

function isArithmetic(sort: u32): bool {
  return sort == SIGN || sort == ARITHMETIC || sort == ODD || sort == STAR || sort == AMPERSAND;
}

/** Operands joined by arithmetic alone, as BETWEEN has them. */
function plain(): u32 {
  let all = operand();
  while (all != 0 && (atWord(WORD_DIV) || (kind == OPERATOR && isArithmetic(word)))) {
    next();
    const right = operand();
    if (right == 0) return 0;
    all |= right | F_SIGN;
  }
  return all;
}

/** IS [NOT] NULL and its like: F_COMPARE with the flags of the right side, or 0. */
function isTest(): u32 {
  next();
  if (atWord(WORD_NOT)) next();
  if (atWord(WORD_ALL)) {
    next();
    if (!atWord(WORD_FROM)) return 0;
    next();
  }
  const right = operand();
  return right == 0 || (right & F_NAME) != 0 ? 0 : right | F_COMPARE | F_SPOKEN;
}

/** One operand with what stands before it; 0 when there is none, and then nothing more is known. */
export function operand(): u32 {
  // All recursion of the grammar passes here. Nobody nests so deep but to get past somebody who counts.
  if (nesting >= MAX_NESTING) {
    if (kind == END || kind == COMMENT) return 0;
    next();
    return F_WEAPON;
  }
  nesting++;
  const flags = signed();
  nesting--;
  return flags;
}

function signed(): u32 {
  let unary: u32 = 0;
  for (;;) {
    if (kind == OPERATOR && (word == SIGN || word == BANG || word == TILDE)) unary |= F_UNARY;
    else if (kind != WORD || (word != WORD_NOT && word != WORD_UNARY && word != WORD_ALL)) break;
    next();
  }
  let flags: u32 = 0;
  switch (kind) {
    case NUMBER:
      flags = F_NUMBER | (stump ? F_STUMP : 0);
      next();
      dotted();
      if ((flags & F_STUMP) != 0 && kind == LEFT) flags |= arguments() & EVIDENCE; // MySQL: `1.e(1)`
      break;
    case STRING:
    case OPEN_STRING:
      while (kind == STRING || kind == OPEN_STRING) {
        flags |= stringFlag();
        next();
      }
      break;
    case VARIABLE:
      flags = systemVariable ? F_VARIABLE | F_INFORMANT : F_VARIABLE;
      next();
      dotted();
      break;
    case NAME:
      flags = nameOperand();
      break;
    case WORD:
      flags = wordOperand();
      break;
    case LEFT:
      flags = group();
      break;
    case LEFT_BRACE:
      // ODBC's {ts '..'} and MySQL's {name expression}
      next();
      if (kind != NAME && kind != WORD) return 0;
      flags = F_NUMBER | (nameOperand() & F_STUMP);
      if (kind != RIGHT_BRACE) flags |= expression() & (EVIDENCE | F_STUMP);
      if (kind == RIGHT_BRACE) next();
      break;
    default:
      return 0;
  }
  return flags == 0 ? 0 : flags | unary;
}

/** Passes `.name.name`; true when there was any. */
export function dotted(): bool {
  let any = false;
  while (kind == DOT) {
    next();
    if (kind == NAME || kind == WORD || kind == NUMBER || (kind == OPERATOR && word == STAR)) {
      any = true;
      next();
    }
  }
  return any;
}

function nameOperand(): u32 {
  let flags: u32 = F_NAME;
  if (technical) flags |= F_TECHNICAL;
  next();
  if (kind == DOT && dotted()) flags |= F_TECHNICAL;
  if (kind == LEFT) return F_CALL | (arguments() & EVIDENCE);
  return flags;
}

function wordOperand(): u32 {
  const sort = word;
  if (sort == WORD_CONSTANT) {
    next();
    if (kind != LEFT) return F_CONSTANT;
    keep();
    next();
    if (kind == RIGHT) {
      next();
      return F_CONSTANT | F_INFORMANT; // current_user()
    }
    back();
    return F_CONSTANT;
  }
  if (sort == WORD_CASE) return caseOperand();
  if (sort == WORD_SELECT) return selectStatement(true);
  if (sort == WORD_WITH) return withOperand();
  if (sort == WORD_CATALOG) {
    next();
    dotted();
    return F_NAME | F_TECHNICAL;
  }
  if (sort == WORD_INTERVAL) {
    next();
    const amount = operand();
    if (amount != 0 && kind == NAME) next();
    return amount == 0 ? F_NAME : F_NUMBER;
  }
  if (sort == WORD_TYPED) {
    next();
    if (kind == STRING) {
      next();
      return F_STRING;
    }
    return kind == LEFT ? F_FUNCTION | (arguments() & EVIDENCE) : F_NAME;
  }
  if (sort == WORD_MATCH) {
    next();
    if (kind == NAME) next();
    if (kind == LEFT) arguments();
    if (kind != NAME) return F_NAME;
    next();
    return kind == LEFT ? F_FUNCTION | (arguments() & EVIDENCE) : F_NAME;
  }
  const call = isFunction(sort) || sort == WORD_INFORMANT || sort == WORD_WEAPON || sort == WORD_IF;
  const other = sort == WORD_TOP || sort == WORD_INSERT || sort == WORD_OBJECT || sort == WORD_LIKE;
  if (call || other || sort == WORD_SOUNDS) {
    const rich = technical;
    if (sort == WORD_LIKE) {
      // like('abc', ..) is a function of SQLite
      keep();
      next();
      if (kind != LEFT) {
        back();
        return 0;
      }
    } else next();
    if (kind == DOT) {
      // A package's, as utl_http.request(..), or of no server
      dotted();
      if (kind != LEFT) return F_NAME | F_TECHNICAL;
      return (sort == WORD_WEAPON ? F_FUNCTION | F_WEAPON : F_CALL) | (arguments() & EVIDENCE);
    }
    if (kind != LEFT) return sort == WORD_IF ? 0 : F_NAME | (rich ? F_TECHNICAL : 0);
    const before = probes;
    if (sort == WORD_PROBE) probes++;
    const inside = arguments();
    if (sort == WORD_INFORMANT && (inside & F_NAME) != 0) return F_CALL | (inside & EVIDENCE);
    if (sort == WORD_IF && tautology(inside) != 0) return F_FUNCTION | F_WEAPON;
    // Nobody asks for the length of version() but to read it letter by letter.
    if ((inside & F_INFORMANT) != 0) return F_FUNCTION | F_WEAPON;
    let flags = functionFlag(sort) | (inside & EVIDENCE);
    if (probes > before && (probes > before + 1 || sort != WORD_PROBE)) flags |= F_PROBE;
    return flags;
  }
  return 0;
}

export function isFunction(sort: u32): bool {
  return sort == WORD_FUNCTION || sort == WORD_PROBE;
}

function functionFlag(sort: u32): u32 {
  if (sort == WORD_WEAPON) return F_FUNCTION | F_WEAPON;
  return sort == WORD_INFORMANT ? F_FUNCTION | F_INFORMANT : F_FUNCTION;
}

function caseOperand(): u32 {
  next();
  let all: u32 = 0;
  let marks = 0;
  if (!atWord(WORD_WHEN)) all |= expression() & EVIDENCE;
  while (atWord(WORD_WHEN)) {
    next();
    marks++;
    const value = expression();
    if (value == 0) return 0;
    all |= value & EVIDENCE;
  }
  if (atWord(WORD_END)) {
    next();
    return marks > 1 ? F_CASE | F_GROUP | all : 0;
  }
  return marks > 1 ? F_GROUP | all : 0;
}

/** What stands in parentheses. */
function group(): u32 {
  // A run of opening parentheses is counted, not descended into: no depth of them costs stack.
  let opened = 0;
  while (kind == LEFT) {
    opened++;
    next();
  }
  let all: u32 = 0;
  while (opened > 0) {
    const value = atWord(WORD_VALUES) ? valuesOperand() : expression();
    all |= value;
    const start = from;
    while (kind == RIGHT && opened > 0) {
      next();
      opened--;
      // `((1) + 2`: what was closed is the first operand of what is still open.
      if (opened > 0 && (kind == OPERATOR || kind == WORD)) all |= more(all == 0 ? F_GROUP : all);
    }
    if (opened == 0) break;
    if (kind == COMMA || (kind == OPERATOR && word == STAR)) next();
    else if (atWord(WORD_UNION)) {
      next();
      while (kind == LEFT || atWord(WORD_ALL)) {
        if (kind != LEFT) all |= F_FAINT_SELECT;
        next();
      }
      if (!atWord(WORD_SELECT)) break;
      all |= F_SELECT;
    } else if (value == 0 || from == start) break;
  }
  return all == 0 ? 0 : (all & ~(F_LOGIC | F_PIPES)) | F_GROUP;
}

function valuesOperand(): u32 {
  next();
  if (kind == LEFT) return F_SELECT;
  dotted();
  return more(F_NAME);
}

/** Arguments of a call, from their parenthesis on: everything up to its end, whatever it is. */
export function arguments(): u32 {
  next();
  let all: u32 = 0;
  let depth = 1;
  while (kind != END && kind != COMMENT) {
    if (kind == RIGHT) {
      next();
      depth--;
      if (depth == 0) break;
      continue;
    }
    if (kind == SEMICOLON && depth == 1) break;
    const value = expression();
    all |= value;
    if (value == 0) {
      if (kind == LEFT) depth++;
      else if (kind == RIGHT) continue;
      else if (atWord(WORD_UNION)) {
        next();
        if (atWord(WORD_SELECT) || atWord(WORD_ALL)) all |= F_FAINT_SELECT;
        continue;
      }
      if (kind != END && kind != COMMENT) next();
    }
  }
  return all;
}

export function startsStatement(sort: u32): bool {
  return (
    sort == WORD_SELECT ||
    (sort >= WORD_INSERT && sort <= WORD_BEGIN && sort != WORD_OBJECT) ||
    (sort >= WORD_GOTO && sort <= WORD_WHILE) ||
    sort == WORD_LOAD
  );
}

/** WITH name AS (SELECT .. */
function withOperand(): u32 {
  next();
  if (kind != NAME) return 0;
  next();
  if (kind == LEFT) arguments();
  if (!atWord(WORD_AS)) return 0;
  next();
  return kind == LEFT ? F_SELECT : 0;
}
