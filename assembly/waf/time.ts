// TIME, YYYYMMDDhhmmss, and its parts: two digits each, four for the year, one for the day of the week, 0 for Sunday.
// SPEC: ModSecurity shows local time; a worker has no time zone but UTC.
import { alloc } from '../arena';
import {
  VARIABLE_DURATION,
  VARIABLE_TIME,
  VARIABLE_TIME_DAY,
  VARIABLE_TIME_EPOCH,
  VARIABLE_TIME_HOUR,
  VARIABLE_TIME_MIN,
  VARIABLE_TIME_MON,
  VARIABLE_TIME_SEC,
  VARIABLE_TIME_WDAY,
  VARIABLE_TIME_YEAR,
} from './abi';
import { setNumber, setText } from './collections';
import { uses } from './program';

/** Sets the variables of time that rules look at; `now` is seconds since the epoch. False when the arena is exhausted. */
export function fillTime(now: i32): bool {
  // Nothing is measured inside of a call.
  if (uses(VARIABLE_DURATION) && !setNumber(VARIABLE_DURATION, 0)) return false;
  if (uses(VARIABLE_TIME_EPOCH) && !setNumber(VARIABLE_TIME_EPOCH, now)) return false;
  let parts = false;
  for (let id = VARIABLE_TIME; id <= VARIABLE_TIME_YEAR; id++) parts = parts || uses(id);
  if (!parts) return true;
  const days = <i32>(<u32>now / 86400);
  const rest = <i32>(<u32>now % 86400);
  const hour = rest / 3600;
  const minute = (rest / 60) % 60;
  const second = rest % 60;
  // Days since 0000-03-01, in eras of 400 years of 146,097 days.
  const shifted = days + 719468;
  const era = shifted / 146097;
  const ofEra = shifted - era * 146097;
  const year = (ofEra - ofEra / 1460 + ofEra / 36524 - ofEra / 146096) / 365;
  const ofYear = ofEra - (365 * year + year / 4 - year / 100);
  const month = (5 * ofYear + 2) / 153; // from March
  const day = ofYear - (153 * month + 2) / 5 + 1;
  const text = alloc(14);
  if (text == 0) return false;
  const full = era * 400 + year + i32(month >= 10);
  two(text, full / 100);
  two(text + 2, full % 100);
  two(text + 4, ((month + 2) % 12) + 1);
  two(text + 6, day);
  two(text + 8, hour);
  two(text + 10, minute);
  two(text + 12, second);
  return (
    setText(VARIABLE_TIME, text, 14) &&
    setText(VARIABLE_TIME_YEAR, text, 4) &&
    setText(VARIABLE_TIME_MON, text + 4, 2) &&
    setText(VARIABLE_TIME_DAY, text + 6, 2) &&
    setText(VARIABLE_TIME_HOUR, text + 8, 2) &&
    setText(VARIABLE_TIME_MIN, text + 10, 2) &&
    setText(VARIABLE_TIME_SEC, text + 12, 2) &&
    setNumber(VARIABLE_TIME_WDAY, (days + 4) % 7)
  );
}

function two(at: usize, number: i32): void {
  store<u8>(at, <u8>(0x30 + number / 10));
  store<u8>(at, <u8>(0x30 + (number % 10)), 1);
}
