// Statements that may follow a value: behind a semicolon, or where SQL Server needs none.
import {
  atWord, expression, F_CALL, F_COMPARE, F_FAINT_SELECT, F_NAME, F_SELECT, F_WEAPON, startsStatement,
} from './sql-grammar';
import { mark, S_NONE, S_STATEMENT, S_VERSIONED, stacked } from './sql-judge';
import {
  COLON, COMMENT, COMPARISON, DOT, END, from, kind, LEFT, NAME, next, NUMBER, OPERATOR, SEMICOLON, STRING,
  technical, VARIABLE, versioned, WORD, word,
} from './sql-lexer';
import { selectStatement } from './sql-select';
import {
  WORD_AS, WORD_BEGIN, WORD_DECLARE, WORD_DELETE, WORD_DROP, WORD_EXEC, WORD_FROM, WORD_FUNCTION, WORD_GOTO,
  WORD_IF, WORD_INFORMANT, WORD_INSERT, WORD_INTO, WORD_LOAD, WORD_OBJECT, WORD_PROCEDURE, WORD_SELECT, WORD_SET,
  WORD_SHUTDOWN, WORD_UPDATE, WORD_VALUES, WORD_WAITFOR, WORD_WEAPON, WORD_WHERE, WORD_WHILE,
} from './sql-words';

/** Statements behind one another that are looked at. */
const MAX_STATEMENTS: i32 = 8;

/** At the first word of a statement. `behind`: a semicolon stands before it, so that a command is enough. */
export function statement(depth: i32, behind: bool): u32 {
  const sort = word;
  if (sort == WORD_SELECT) {
    const found = selectStatement(false);
    if (found == F_SELECT) return S_STATEMENT;
    if (versioned) return S_VERSIONED;
    if (found != 0 && (behind || mark != 0 || depth > 0)) return S_STATEMENT;
    if (kind == SEMICOLON && depth < MAX_STATEMENTS) return stacked(depth + 1);
    if (kind == WORD && startsStatement(word) && word != WORD_SELECT && depth < MAX_STATEMENTS) {
      return statement(depth + 1, false);
    }
    return S_NONE;
  }
  next();
  if (sort == WORD_INSERT) {
    if (kind == NAME) next();
    if (!atWord(WORD_INTO)) return S_NONE;
    next();
    if (operandName() == 0) return S_NONE;
    if (kind == LEFT || behind) return S_STATEMENT;
    return atWord(WORD_VALUES) || atWord(WORD_SELECT) || atWord(WORD_SET) ? S_STATEMENT : S_NONE;
  }
  if (sort == WORD_UPDATE) {
    if (operandName() == 0 || !atWord(WORD_SET)) return S_NONE;
    next();
    if (operandName() == 0 || kind != OPERATOR || word != COMPARISON) return S_NONE;
    return S_STATEMENT;
  }
  if (sort == WORD_DELETE) {
    if (kind == NAME) next();
    if (!atWord(WORD_FROM)) return S_NONE;
    next();
    const table = operandName();
    if (table == 0) return S_NONE;
    if (behind) return S_STATEMENT;
    if (!atWord(WORD_WHERE)) return S_NONE;
    next();
    return (expression() & F_COMPARE) != 0 ? S_STATEMENT : S_NONE;
  }
  if (sort == WORD_DROP) {
    const listed = atWord(WORD_OBJECT) || atWord(WORD_INFORMANT) || atWord(WORD_PROCEDURE);
    const object = listed || (kind == NAME && behind);
    if (!object && !atWord(WORD_FUNCTION)) return S_NONE;
    next();
    if (!listed) return kind == COMMENT || kind == SEMICOLON || kind == NAME ? S_STATEMENT : S_NONE;
    if (atWord(WORD_IF)) return S_STATEMENT;
    const rich = technical || kind == LEFT;
    if (operandName() == 0) return S_NONE;
    return behind || rich || kind == COMMENT || kind == SEMICOLON ? S_STATEMENT : S_NONE;
  }
  if (sort == WORD_EXEC) {
    if (kind == LEFT) {
      next();
      return kind == VARIABLE || ((behind || mark != 0) && (kind == STRING || kind == WORD)) ? S_STATEMENT : S_NONE;
    }
    if (kind == VARIABLE || atWord(WORD_WEAPON) || (behind && atWord(WORD_AS))) return S_STATEMENT;
    const rich = technical && load<u8>(from) != 0x60;
    if (operandName() == 0) return S_NONE;
    const over = kind == END || kind == COMMENT || kind == SEMICOLON || kind == VARIABLE || kind == NUMBER;
    if (behind && (kind == STRING || kind == LEFT)) return S_STATEMENT;
    return (rich || dottedName) && (over || kind == NAME || kind == STRING) ? S_STATEMENT : S_NONE;
  }
  if (sort == WORD_DECLARE) {
    if (kind == VARIABLE) return S_STATEMENT;
    if (kind != NAME) return S_NONE;
    next();
    return kind == NAME && behind ? S_STATEMENT : S_NONE;
  }
  if (sort == WORD_SET) {
    if (kind == VARIABLE) return S_STATEMENT;
    if (operandName() == 0 || !behind) return S_NONE;
    return kind == OPERATOR && word == COMPARISON ? S_STATEMENT : S_NONE;
  }
  if (sort == WORD_IF || sort == WORD_WHILE) {
    const condition = expression();
    if ((condition & (F_SELECT | F_WEAPON | F_FAINT_SELECT)) != 0) return S_STATEMENT;
    if ((condition & F_COMPARE) == 0 || (!behind && mark == 0)) return S_NONE;
    return (condition & (F_NAME | F_CALL)) == 0 || atWord(WORD_WAITFOR) ? S_STATEMENT : S_NONE;
  }
  if (sort == WORD_BEGIN) {
    if (kind == NAME) next();
    if (atWord(WORD_WEAPON)) return S_STATEMENT;
    if (depth >= MAX_STATEMENTS || kind != WORD || !startsStatement(word)) return S_NONE;
    return statement(depth + 1, behind || mark != 0);
  }
  if (sort == WORD_GOTO) {
    if (kind != NAME) return S_NONE;
    next();
    if (kind == SEMICOLON || kind == COLON) return mark != 0 || behind ? S_STATEMENT : S_NONE;
    if (kind == NAME) {
      next();
      return kind == COLON ? S_STATEMENT : S_NONE;
    }
    return kind == WORD && startsStatement(word) && depth < MAX_STATEMENTS ? statement(depth + 1, true) : S_NONE;
  }
  if (sort == WORD_SHUTDOWN) {
    return behind && (kind == END || kind == COMMENT || kind == SEMICOLON || kind == WORD) ? S_STATEMENT : S_NONE;
  }
  if (sort == WORD_LOAD) {
    if (kind != NAME && !atWord(WORD_INSERT)) return S_NONE;
    next();
    while (kind == NAME) next();
    return kind == STRING && behind ? S_STATEMENT : S_NONE;
  }
  // USE and the other commands that take a name: only where they are all there is.
  if (!behind) return S_NONE;
  if (kind == LEFT || kind == STRING) return S_STATEMENT;
  if (operandName() == 0) return S_NONE;
  if (kind == COMMENT || kind == SEMICOLON || kind == LEFT) return S_STATEMENT;
  return kind == WORD && startsStatement(word) ? S_STATEMENT : S_NONE;
}

let dottedName = false;

/** Passes a name, dotted or not; 0 when there is none. */
export function operandName(): u32 {
  dottedName = false;
  if (kind != NAME && kind != WORD && kind != STRING) return 0;
  next();
  while (kind == DOT) {
    next();
    if (kind == NAME || kind == WORD) {
      dottedName = true;
      next();
    }
  }
  return F_NAME;
}
