import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { Departures, LISTEN_AFTER } from './session-departures.ts';

/** A client whose signal nobody has asked for yet. */
function client() {
  const controller = new AbortController();
  const state = { asked: 0, leave: () => controller.abort() };
  return {
    state,
    get signal() {
      state.asked++;
      return controller.signal;
    },
  };
}

test('clients that leave are noticed, and those that are answered at once are never asked', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const departures = new Departures();
    const left: string[] = [];
    const [quick, early, late, answered] = [client(), client(), client(), client()];
    departures.notice(quick, () => left.push('quick'))();
    departures.notice(early, () => left.push('early'));
    departures.notice(late, () => left.push('late'));
    const end = departures.notice(answered, () => left.push('answered'));
    early.state.leave();
    assert.equal(left.length, 0);
    mock.timers.tick(LISTEN_AFTER);
    assert.deepEqual(left, ['early']);
    late.state.leave();
    assert.deepEqual(left, ['early', 'late']);
    end();
    answered.state.leave();
    mock.timers.tick(10 * LISTEN_AFTER);
    assert.deepEqual(left, ['early', 'late']);
    assert.deepEqual([quick.state.asked, early.state.asked, late.state.asked, answered.state.asked], [0, 1, 1, 1]);
  } finally {
    mock.timers.reset();
  }
});

test('one that comes after a look is looked for as well', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const departures = new Departures();
    departures.notice(client(), assert.fail)();
    mock.timers.tick(10 * LISTEN_AFTER);
    const next = client();
    let left = 0;
    departures.notice(next, () => left++);
    mock.timers.tick(LISTEN_AFTER);
    next.state.leave();
    assert.equal(left, 1);
  } finally {
    mock.timers.reset();
  }
});
