// SELECT statements, for the grammar of sql-grammar.ts: which of them only SQL writes, and which a sentence may.
import {
  atWord, dotted, EVIDENCE, expression, F_CALL, F_CASE, F_COMPARE, F_CONSTANT, F_FAINT_SELECT, F_FUNCTION, F_GROUP,
  F_INFORMANT, F_NAME, F_NUMBER, F_REOPENED, F_SELECT, F_STRING, F_STUMP, F_TECHNICAL, F_UNARY, F_VARIABLE,
  F_WEAPON, isFunction, operand, startsStatement,
} from './sql-grammar';
import {
  back, COLON, COMMA, DOT, END, keep, kind, LEFT, NAME, next, NUMBER, OPERATOR, RIGHT, SEMICOLON, STAR, STRING,
  stump, VARIABLE, WORD, word,
} from './sql-lexer';
import {
  WORD_ALL, WORD_AS, WORD_BY, WORD_END, WORD_FOR, WORD_FROM, WORD_HAVING, WORD_INFORMANT, WORD_INTO, WORD_JOIN,
  WORD_LIMIT, WORD_OFFSET, WORD_ORDER, WORD_SELECT, WORD_TOP, WORD_TYPED, WORD_UNION, WORD_WHERE,
} from './sql-words';

/**
 * A SELECT, at that word. F_SELECT when no sentence is written like it, F_FAINT_SELECT when one may be, else 0. `inside`:
 * in parentheses or behind an operator, where a lone value is enough.
 */
export function selectStatement(inside: bool): u32 {
  next();
  let sure = false;
  while (atWord(WORD_ALL) || atWord(WORD_TOP)) {
    keep();
    const top = word == WORD_TOP;
    next();
    if (!top) continue;
    if (kind != NUMBER) {
      back();
      break;
    }
    next();
    sure = true;
  }
  let items = 0;
  let kinds: u32 = 0;
  let first: u32 = 0;
  for (;;) {
    let item: u32 = 0;
    if (kind == OPERATOR && word == STAR) {
      next();
      item = F_GROUP;
      sure = kind == END || kind == RIGHT || atWord(WORD_FROM) || kind == COMMA || sure;
    } else item = expression();
    if (item == 0) break;
    items++;
    if (items == 1) first = item;
    kinds |= item;
    if (kind == NUMBER && stump) sure = true;
    alias();
    if (kind != COMMA) break;
    next();
  }
  if (items == 0) return inside && kind == END ? F_FAINT_SELECT : 0;
  const telling = F_VARIABLE | F_FUNCTION | F_WEAPON | F_INFORMANT | F_SELECT | F_CASE | F_STUMP | F_CONSTANT;
  if ((kinds & telling) != 0 || ((kinds & F_UNARY) != 0 && (kinds & F_NAME) == 0)) sure = true;
  if (inside && (kinds & F_CALL) != 0) sure = true;
  if (kinds == F_REOPENED) return 0;
  const grouped = (kinds & F_GROUP) != 0 && (kinds & F_NAME) == 0;
  const literal = grouped || (kinds & (F_NUMBER | F_STRING | F_REOPENED)) != 0;
  if (literal && (items > 1 || inside)) sure = true;
  if (literal && (kind == SEMICOLON || kind == COLON)) sure = true;
  if (literal && kind == WORD && (word == WORD_UNION || word == WORD_END || startsStatement(word))) sure = true;
  let found: u32 = inside && (items > 1 || kind == RIGHT) ? F_FAINT_SELECT : 0;
  if ((kinds & F_TECHNICAL) != 0 && inside) found = F_FAINT_SELECT;
  if (atWord(WORD_INTO)) {
    next();
    if (kind == VARIABLE || kind == WORD) sure = true;
    else if (kind == NAME) next();
  }
  if (atWord(WORD_FROM)) {
    next();
    const table = tables();
    if ((table & F_TECHNICAL) != 0 || (kinds & F_TECHNICAL) != 0) sure = true;
    if ((table & (F_SELECT | F_CALL | F_FUNCTION)) != 0) sure = true;
    if (table != 0 || kind == END) found = F_FAINT_SELECT;
    if (table != 0 && literal && (clauseFollows() || (kinds & F_GROUP) != 0)) sure = true;
    if (atWord(WORD_WHERE)) {
      next();
      const condition = expression();
      if ((condition & F_COMPARE) != 0 || (condition & EVIDENCE) != 0) sure = true;
      if ((condition & (F_NUMBER | F_CONSTANT)) != 0 && kind == END) sure = true;
    }
    if (clauseFollows() && !atWord(WORD_WHERE)) sure = tail() || sure;
  } else if (atWord(WORD_WHERE) || atWord(WORD_LIMIT)) {
    next();
    if ((expression() & (F_COMPARE | F_NUMBER)) != 0) sure = true;
  }
  if (atWord(WORD_UNION)) {
    next();
    while (atWord(WORD_ALL) || kind == LEFT) next();
    if (atWord(WORD_SELECT)) sure = true;
  }
  return sure ? F_SELECT : found;
}

function alias(): void {
  if (atWord(WORD_AS)) next();
  if (kind == NAME || kind == STRING || (kind == WORD && (isFunction(word) || word == WORD_INFORMANT || word == WORD_TYPED))) next();
  while (kind == DOT) dotted();
}

function clauseFollows(): bool {
  if (kind != WORD) return false;
  const sort = word;
  return (
    (sort >= WORD_WHERE && sort <= WORD_FOR) || sort == WORD_UNION || sort == WORD_JOIN || sort == WORD_OFFSET
  );
}

/** The tables behind FROM: their flags. */
function tables(): u32 {
  let all: u32 = 0;
  for (;;) {
    const table = operand();
    if (table == 0) return all;
    all |= table;
    alias();
    if (kind == COMMA) {
      next();
      continue;
    }
    if (atWord(WORD_JOIN)) {
      while (atWord(WORD_JOIN)) next();
      all |= F_TECHNICAL;
      continue;
    }
    return all;
  }
}

/** Clauses behind the tables; true when they are written as only SQL writes them. */
function tail(): bool {
  let sure = false;
  while (kind == WORD && clauseFollows() && !atWord(WORD_UNION)) {
    const sort = word;
    next();
    if (sort == WORD_ORDER) {
      if (!atWord(WORD_BY)) return sure;
      next();
    }
    const value = expression();
    if (value == 0) return sure || sort == WORD_INTO || sort == WORD_FOR;
    if (sort == WORD_LIMIT && (value & F_NUMBER) != 0) sure = true;
    if (sort == WORD_ORDER || sort == WORD_HAVING || sort == WORD_OFFSET) sure = true;
    while (kind == COMMA) {
      next();
      if (expression() == 0) return sure;
    }
  }
  return sure;
}
