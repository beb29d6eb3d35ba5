// Whether what follows an operand, or a whole value, is a fragment of SQL that was meant to be run. One judgement for each
// place that a value can stand in: bare in a statement, or inside quotes that it breaks out of.
import {
  atWord, expression, F_ARITHMETIC, F_CALL, F_CASE, F_COMPARE, F_CONSTANT, F_DANGLING, F_FAINT_SELECT, F_FUNCTION,
  F_GROUP, F_INFORMANT, F_LOGIC, F_MODE, F_NAME, F_NUMBER, F_ODD, F_PIPES, F_PROBE, F_REOPENED, F_SELECT, F_SIGN,
  F_SPOKEN, F_STRING, F_TAUTOLOGY, F_TIMES, F_TWO_FUNCTIONS, F_UNARY, F_VARIABLE, F_WEAPON, more, operand, segment,
  startGrammar, startsStatement,
} from './sql-grammar';
import {
  again, AMPERSAND, ARITHMETIC, back, BOTH, COLON, COMMA, COMMENT, COMPARISON, END, from, isWordByte, keep, kind,
  LEFT, NAME, nested, next, ODD, OPEN_STRING, OPERATOR, parted, PIPES, quote, RIGHT, SEMICOLON, SIGN, STAR, STRING,
  upto, VARIABLE, versioned, WORD, word,
} from './sql-lexer';
import { selectStatement } from './sql-select';
import { operandName, statement } from './sql-statement';
import {
  WORD_ALL, WORD_ANALYSE, WORD_AND, WORD_AS, WORD_BY, WORD_DELAY, WORD_FOR, WORD_FROM, WORD_FUNCTION, WORD_GOTO,
  WORD_HAVING, WORD_IN, WORD_INTO, WORD_LIMIT, WORD_LOCK, WORD_ORDER, WORD_OUTFILE, WORD_PROCEDURE, WORD_SELECT,
  WORD_UNION, WORD_UPDATE, WORD_VALUES, WORD_WAITFOR, WORD_WEAPON, WORD_WHERE,
} from './sql-words';

// STRUCTURES, the verdicts. Their names are in sql.ts.
export const S_NONE: u32 = 0;
export const S_UNION: u32 = 1;
export const S_SUBSELECT: u32 = 2;
export const S_FUNCTION: u32 = 3;
export const S_CONDITION: u32 = 4;
export const S_COMPARISON: u32 = 5;
export const S_CONCATENATION: u32 = 6;
export const S_COMMENT: u32 = 7;
export const S_STACKED: u32 = 8;
export const S_STATEMENT: u32 = 9;
export const S_CLAUSE: u32 = 10;
export const S_VERSIONED: u32 = 11;

/** Operands without a name in them. */
const LITERAL: u32 = F_NUMBER | F_STRING | F_VARIABLE | F_FUNCTION | F_GROUP | F_CONSTANT | F_SELECT | F_CASE;

/** The quote that the value broke out of, or 0. */
export let mark: u32 = 0;
/** The expression began without a name, so that what follows AND or OR need not prove as much. */
let literalFirst = false;
/** There was no first operand: the value begins with AND or OR. */
let headless = false;
/** Where the value begins. */
let first: usize = 0;
/** The quote stands at once behind a word or begins the value, as one that ends a literal does: not ` "=="`. */
let behindWord = false;

/** Judges a value that stands bare in a statement. The lexer stands before it. */
export function judgeBare(): u32 {
  mark = 0;
  startGrammar(0);
  next();
  let closed = false;
  while (kind == RIGHT) {
    next();
    closed = true;
  }
  if (kind == OPERATOR) {
    // `=` continues a comparison. A value that begins with another operator than a sign is a path or a pattern.
    if (word == COMPARISON) next();
    else if (word == ARITHMETIC || word == ODD || word == STAR || word == AMPERSAND) return S_NONE;
    else if (word == SIGN) {
      keep();
      next();
      if (!atWord(WORD_UNION)) back();
    }
  }
  if (kind == WORD && startsStatement(word)) {
    const start = from;
    const starts = word;
    const found = statement(0, false);
    if (found != S_NONE || starts == WORD_SELECT) return found;
    again(start);
  }
  if (kind == WORD && word == WORD_AS) {
    next();
    if (kind == NAME) next();
    if (kind != WORD || !isClause(word)) return S_NONE;
  }
  if (kind == COMMA || kind == SEMICOLON || kind == COMMENT || kind == END) return tail(0, closed);
  if (kind == WORD && (word == WORD_AND || word == WORD_UNION || isClause(word))) return tail(0, closed);
  if (kind == OPERATOR && (word == BOTH || word == PIPES)) return tail(0, closed);
  const left = operand();
  return left == 0 ? S_NONE : tail(left, false);
}

/** Judges what follows the quote `byte` that ends the literal the value stood in. The lexer stands behind the quote,
 *  at `close`; the value begins at `begin`. */
export function judgeQuoted(byte: u32, close: usize, begin: usize): u32 {
  first = begin;
  behindWord = close - 2 < begin || isWordByte(<u32>load<u8>(close - 2));
  mark = byte;
  startGrammar(byte);
  next();
  if (kind == COMMENT && quote == 0x2d && from == close) return dashEnds(close);
  while (kind == RIGHT) next();
  if (kind == COMMENT) return commentEnds();
  while (kind == STRING || kind == OPEN_STRING) next();
  if (kind == LEFT) return (operand() & (F_SELECT | F_WEAPON)) != 0 ? S_SUBSELECT : S_NONE;
  if (kind == WORD) {
    if (word == WORD_FUNCTION || word == WORD_WEAPON) {
      // The operator is missing, but nobody writes `" sleep(10) "`.
      if ((expression() & F_WEAPON) != 0) return S_FUNCTION;
      return S_NONE;
    }
    if (startsStatement(word)) {
      const start = from;
      const found = statement(0, false);
      if (found != S_NONE) return found;
      again(start);
      if (!isClause(word)) return S_NONE;
    }
  }
  return tail(F_STRING, false);
}

/** `size 8'# ` is as likely a number sign as a comment: only `name'#`, where it ends the value, counts. */
function hashEnds(): u32 {
  return upto - from <= 1 && from >= first + 2 && load<u8>(from - 2) > 0x20 ? S_COMMENT : S_NONE;
}

/** `admin'--`, with anything behind it; not the first letters of an option in quotes, `('--all')`. */
function dashEnds(close: usize): u32 {
  const before = close - 2 < first ? 0 : <u32>load<u8>(close - 2);
  if (isWordByte(before) || before == 0x29 || before == 0x25) {
    return upto - from == 2 || load<u8>(from + 2) != mark ? S_COMMENT : S_NONE;
  }
  // Nothing or a sign before the quote: the rest must be a comment like no word in quotes.
  if (before == 0x28 || before == 0x5b || before == 0x2c || before == 0x3a || before == 0x3d) return S_NONE;
  for (let at = from + 2; at < upto; at++) if (load<u8>(at) == mark) return S_NONE;
  return upto - from == 2 || load<u8>(from + 2) <= 0x20 || load<u8>(from + 2) == 0x2d ? S_COMMENT : S_NONE;
}

/** A comment behind a quote and a space: `admin' -- `, not `dress' --short`. */
function commentEnds(): u32 {
  if (quote == 0x2a) return upto - from <= 2 || endsBlock() ? S_COMMENT : S_NONE;
  if (quote == 0x23) return hashEnds();
  if (upto - from == 2) return S_COMMENT;
  const byte = load<u8>(from + 2);
  if (byte > 0x20 && byte != 0x2d && byte != 0x2b) return S_NONE;
  for (let at = from + 2; at < upto; at++) if (load<u8>(at) == mark) return S_NONE;
  return S_COMMENT;
}

function endsBlock(): bool {
  return upto - from >= 4 && load<u8>(upto - 1) == 0x2f && load<u8>(upto - 2) == 0x2a;
}

/** Everything behind the first operand, whose flags are `left` (0: none). */
function tail(left: u32, closed: bool): u32 {
  let flags = left;
  literalFirst = (left & (F_NAME | F_CALL)) == 0;
  headless = left == 0 && !closed;
  if (headless) literalFirst = false;
  if ((left & (F_SELECT | F_WEAPON | F_CASE)) != 0) return judge(left, left);
  // Each turn passes at least one token, so this ends with the text.
  for (;;) {
    if (kind == OPERATOR || kind == WORD) {
      if (flags == 0 && (kind == OPERATOR || word == WORD_AND)) flags = F_NUMBER;
      const begun = from;
      const all = more(flags);
      const found = judge(all, segment);
      if (found != S_NONE) return found;
      if ((all & F_DANGLING) != 0 && kind != WORD && kind != LEFT) return S_NONE;
      flags = all & ~(F_LOGIC | F_DANGLING);
      if (kind == OPERATOR && from == begun) return S_NONE;
    } else if (kind == COMMENT || kind == END) {
      return judge(flags, flags);
    }
    if (kind == RIGHT) {
      closed = true;
      next();
      continue;
    }
    if (kind == SEMICOLON) return stacked(0);
    if (kind == COMMA) {
      next();
      const value = expression();
      if ((value & (F_SELECT | F_WEAPON | F_CASE)) != 0) return S_SUBSELECT;
      if (value == 0 && kind != RIGHT) return S_NONE;
      flags |= value & ~F_LOGIC;
      if (kind == COMMENT || kind == END) return S_NONE;
      continue;
    }
    if (kind == LEFT && parted && literalFirst) {
      // `1--` and a line break, then a sub-select: the comment stands for what is missing between them.
      return (operand() & (F_SELECT | F_WEAPON)) != 0 ? S_SUBSELECT : S_NONE;
    }
    if (kind != WORD) return judge(flags, flags);
    const sort = word;
    if (sort == WORD_UNION) return union(flags, closed);
    if (isClause(sort)) {
      const found = clause(flags, closed);
      if (found != S_NONE) return found;
      if (kind == COMMENT || kind == END || kind == RIGHT || atWord(WORD_UNION) || (kind == WORD && isClause(word))) {
        if (kind == WORD && word == sort && sort != WORD_UNION) return S_NONE;
        continue;
      }
      return S_NONE;
    }
    if (startsStatement(sort) && (mark != 0 || (flags & (F_NAME | F_CALL)) == 0)) return statement(0, false);
    return judge(flags, flags);
  }
}

/** Nothing stands behind the expression that a sentence would go on with. */
function isOver(): bool {
  return kind == END || kind == COMMENT || kind == SEMICOLON || kind == RIGHT || kind == WORD;
}

/** What an expression of these flags, `part` of them behind its last AND or OR, says by itself. */
function judge(all: u32, part: u32): u32 {
  if ((all & F_WEAPON) != 0) return S_FUNCTION;
  if ((all & F_SELECT) != 0) return S_SUBSELECT;
  if (versioned && (all & (F_NAME | F_CALL)) == 0 && all != 0 && all != F_STRING) return S_VERSIONED;
  return mark == 0 ? judgeBareExpression(all, part) : judgeQuotedExpression(all, part);
}

function judgeBareExpression(all: u32, part: u32): u32 {
  const named = (all & (F_NAME | F_CALL)) != 0;
  const joined = (all & (F_LOGIC | F_COMPARE | F_SIGN | F_ARITHMETIC)) != 0;
  const conditional = (all & (F_LOGIC | F_COMPARE)) != 0;
  if ((all & F_FAINT_SELECT) != 0 && (conditional || (joined && literalFirst))) return S_SUBSELECT;
  if ((all & F_INFORMANT) != 0 && joined && (literalFirst || (all & F_COMPARE) != 0)) return S_FUNCTION;
  if ((all & F_TWO_FUNCTIONS) != 0) return S_CONCATENATION;
  if ((all & F_PROBE) != 0 && joined) return S_FUNCTION;
  if ((all & F_CASE) != 0) return S_STATEMENT;
  if (nested && !named && all != 0) return S_COMMENT;
  if ((all & F_DANGLING) != 0) return S_NONE;
  const dashed = kind == COMMENT && quote == 0x2d;
  if ((all & F_LOGIC) != 0) {
    // `and len(x) > 1` alone is the second line of a program's condition.
    if (headless && (part & F_FUNCTION) != 0 && (all & (F_INFORMANT | F_PROBE)) == 0) return S_NONE;
    if ((all & F_TAUTOLOGY) != 0) return S_CONDITION;
    if (!named && (all & F_COMPARE) != 0) return S_CONDITION;
    if (literalFirst) {
      if ((part & F_COMPARE) != 0 && (part & (LITERAL & ~F_GROUP)) != 0) return S_CONDITION;
      if ((part & F_FUNCTION) != 0) return S_CONDITION;
      // `7 or true`, not `true and false`
      if (part == F_CONSTANT && (all & F_NUMBER) != 0 && kind == END) return S_CONDITION;
      if (kind == COMMENT && part != 0 && (part & (F_NAME | F_CALL)) == 0) return S_CONDITION;
      if ((part & F_VARIABLE) != 0 && (all & F_PIPES) == 0 && isOver() && kind != END) return S_CONDITION;
    }
    return S_NONE;
  }
  if (named || all == 0) return S_NONE;
  if ((all & F_COMPARE) != 0 && dashed) return S_COMPARISON;
  if (dashed && (all & (F_GROUP | F_VARIABLE)) != 0) return S_COMMENT;
  if (kind == COMMENT && (all & (F_NUMBER | F_VARIABLE | F_CONSTANT)) != 0 && (all & F_SIGN) == 0) {
    if (quote == 0x2d) return S_COMMENT;
    if (quote == 0x2a) return S_COMMENT;
  }
  return S_NONE;
}

function judgeQuotedExpression(all: u32, part: u32): u32 {
  if ((all & (F_FAINT_SELECT | F_INFORMANT)) != 0) return S_SUBSELECT;
  if ((all & F_MODE) != 0) return S_CLAUSE;
  const single = mark == 0x27;
  if ((all & F_LOGIC) != 0) {
    if ((part & F_COMPARE) != 0 || (all & F_TAUTOLOGY) != 0) return S_CONDITION;
    if ((part & F_REOPENED) != 0 && (single || (part & ~F_REOPENED) != 0 || (all & F_UNARY) != 0)) {
      return S_CONDITION;
    }
    if ((part & F_FUNCTION) != 0 || ((part & F_VARIABLE) != 0 && isOver())) return S_CONDITION;
    if ((part & F_GROUP) != 0 && (part & (F_NAME | F_CALL)) == 0) return S_CONDITION;
    if (kind == COMMENT && part != 0 && (part & (F_NAME | F_CALL)) == 0) return S_CONDITION;
    if ((part & F_UNARY) != 0 && (part & F_CONSTANT) != 0) return S_CONDITION;
    return (all & F_COMPARE) != 0 ? S_CONDITION : S_NONE;
  }
  if ((all & F_COMPARE) != 0) {
    if (kind == COMMENT) return S_COMPARISON;
    if ((all & F_REOPENED) != 0 && (single || ((all & F_SPOKEN) == 0 && behindWord))) {
      // `='a&b='` is a query string: with names, more than a comparison is needed.
      const telling = (all & F_ODD) != 0 || ((all & F_SPOKEN) != 0 && (all & (F_NUMBER | F_CONSTANT)) != 0);
      if ((all & (F_NAME | F_CALL)) == 0 || telling) return S_COMPARISON;
    }
    if ((all & (F_FUNCTION | F_VARIABLE | F_GROUP)) != 0) return S_COMPARISON;
    return (all & F_CONSTANT) != 0 && isOver() ? S_COMPARISON : S_NONE;
  }
  if ((all & (F_SIGN | F_ARITHMETIC)) == 0) return S_NONE;
  if ((all & (F_FUNCTION | F_VARIABLE)) != 0) return S_CONCATENATION;
  if ((all & F_CONSTANT) != 0 && (all & F_NAME) == 0 && isOver()) return S_CONCATENATION;
  if ((all & F_REOPENED) != 0) {
    // A path in quotes, or words joined by signs, has nothing but names in it.
    if (single) return (all & F_NAME) == 0 || (all & (F_ODD | F_TIMES)) != 0 ? S_CONCATENATION : S_NONE;
    // In double quotes people search: "oak" + "table". More than that is needed.
    return (all & F_ODD) != 0 && (all & (F_NAME | F_NUMBER | F_GROUP)) != 0 ? S_CONCATENATION : S_NONE;
  }
  if (kind == COMMENT && quote == 0x2d && (all & (F_NAME | F_CALL)) == 0) return S_CONCATENATION;
  return S_NONE;
}

/** At UNION. */
function union(left: u32, closed: bool): u32 {
  const touched = parted;
  next();
  let all = false;
  while (atWord(WORD_ALL)) {
    next();
    all = true;
  }
  while (kind == LEFT || (kind == OPERATOR && word != COMPARISON)) next();
  if (atWord(WORD_VALUES)) {
    next();
    return kind == LEFT ? S_UNION : S_NONE;
  }
  const named = left == 0 || ((left & (F_NAME | F_CALL)) != 0 && (left & (F_COMPARE | F_NUMBER)) == 0);
  if (atWord(WORD_SELECT)) {
    const found = selectStatement(true);
    if (found != 0 || all) return S_UNION;
    // `union select members`: a sentence, unless it stands behind a number or a quote.
    return named && !closed ? S_NONE : S_UNION;
  }
  if (versioned) return S_UNION;
  // `1/**/union`: a comment instead of the space, behind a number.
  if (!named && mark == 0 && (touched || (left & F_UNARY) != 0)) return S_UNION;
  return S_NONE;
}

function isClause(sort: u32): bool {
  return (
    sort == WORD_ORDER ||
    sort == WORD_HAVING ||
    sort == WORD_LIMIT ||
    sort == WORD_INTO ||
    sort == WORD_FOR ||
    sort == WORD_LOCK ||
    sort == WORD_PROCEDURE ||
    sort == WORD_WAITFOR ||
    sort == WORD_WHERE ||
    sort == WORD_FROM
  );
}

/** At the word of a clause. S_NONE with the lexer behind the clause when it proves nothing by itself. */
function clause(left: u32, closed: bool): u32 {
  const sort = word;
  const literal = mark != 0 || closed || (left != 0 && (left & (F_NAME | F_CALL)) == 0);
  next();
  if (sort == WORD_WAITFOR) return atWord(WORD_DELAY) ? S_CLAUSE : S_NONE;
  if (sort == WORD_INTO) return atWord(WORD_OUTFILE) || kind == VARIABLE ? S_CLAUSE : S_NONE;
  if (sort == WORD_PROCEDURE) {
    const analyse = atWord(WORD_ANALYSE);
    next();
    return analyse && kind == LEFT ? S_CLAUSE : S_NONE;
  }
  if (sort == WORD_LOCK) {
    for (let words = 0; words < 3 && (kind == NAME || atWord(WORD_IN)); words++) next();
    return S_NONE;
  }
  if (sort == WORD_FOR) {
    if (atWord(WORD_UPDATE) || kind == NAME) next();
    return S_NONE;
  }
  if (sort == WORD_ORDER) {
    if (!atWord(WORD_BY)) return S_NONE;
    next();
  }
  if (sort == WORD_FROM) {
    // `1) from users where name='x'`: a SELECT that the template began
    if (!literal || operandName() == 0 || !atWord(WORD_WHERE)) return S_NONE;
    next();
    return (expression() & F_COMPARE) != 0 ? S_CLAUSE : S_NONE;
  }
  let value = expression();
  if (value == 0) return S_NONE;
  if (sort == WORD_ORDER) {
    while (kind == COMMA) {
      next();
      const more = expression();
      if (more == 0) return S_NONE;
      value |= more;
    }
  }
  if ((value & (F_SELECT | F_WEAPON | F_FAINT_SELECT)) != 0) return S_SUBSELECT;
  const named = (value & (F_NAME | F_CALL)) != 0;
  const over = kind == COMMENT || kind == END || kind == COMMA || kind == SEMICOLON || kind == RIGHT;
  if (sort == WORD_HAVING) {
    if ((value & F_COMPARE) != 0 && (literal || !named)) return S_CLAUSE;
    if ((value & F_GROUP) != 0 && !named && (value & (F_NUMBER | F_CONSTANT)) != 0) return S_CLAUSE;
    return literal && !named && kind == COMMENT ? S_CLAUSE : S_NONE;
  }
  if (headless && !named && (sort == WORD_ORDER ? kind == COMMENT : (value & F_COMPARE) != 0)) return S_CLAUSE;
  if (!literal) return S_NONE;
  if (sort == WORD_ORDER) {
    if (!named && (over || (value & F_FUNCTION) != 0)) return S_CLAUSE;
    return named && kind == COMMENT ? S_CLAUSE : S_NONE;
  }
  if (sort == WORD_LIMIT) return !named && (kind == COMMENT || kind == COMMA) ? S_CLAUSE : S_NONE;
  return (value & F_COMPARE) != 0 && (value & LITERAL) != 0 ? S_CLAUSE : S_NONE;
}

/** At the semicolon. */
export function stacked(depth: i32): u32 {
  while (kind == SEMICOLON || kind == RIGHT) next();
  // `admin';--`
  if (kind == COMMENT) return mark != 0 && commentEnds() == S_COMMENT ? S_COMMENT : S_NONE;
  if (kind == LEFT) {
    while (kind == LEFT) next();
    if (!atWord(WORD_SELECT)) return S_NONE;
  }
  if (kind == NAME) {
    // `label: goto label`
    next();
    if (kind != COLON) return S_NONE;
    next();
    return atWord(WORD_GOTO) ? S_STACKED : S_NONE;
  }
  if (kind == WORD && word == WORD_WAITFOR) return clause(F_NUMBER, false);
  if (kind != WORD || !startsStatement(word)) return S_NONE;
  return statement(depth, true) != S_NONE ? S_STACKED : S_NONE;
}
