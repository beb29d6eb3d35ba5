import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VERSION } from '../../assembly/abi.ts';
import { policyImage, routeSources, SETTINGS } from '../../test/support/image.ts';
import { disassemble } from './disassemble.ts';
import { compileHosts } from './hosts.ts';

const image = policyImage(
  routeSources([
    { hostnames: ['*.a.test'], matches: [{ exact: '/x', method: 'GET' }, { regex: '/[0-9]+' }] },
    {
      matches: [
        {
          prefix: '/',
          headers: [{ name: 'x-a', type: 'Exact', value: 'b' }],
          queryParams: [{ name: 'q', type: 'RegularExpression', value: 'c+' }],
        },
      ],
    },
  ]),
  {
    ...SETTINGS,
    clientAddress: { from: 'xff', trustedHops: 2, trustedCIDRs: ['10.0.0.0/8', '2001:db8::/126'], failClosed: true },
  },
);

test('an image is shown with its hosts, routes, predicates, lists and regexes', () => {
  const text = disassemble(image);
  for (const line of [
    `image: policy, version ${VERSION}`,
    '  client address from xff, 2 trusted hops',
    '  *.a.test -> group 0',
    '  * -> group 1',
    '    exact /x\n      route 0 match 0 when method is "GET"',
    '    regular expressions\n      route 0 match 1 when path matches regex 1',
    '    prefix /\n      route 1 match 0 when header x-a is "b" and query "q" matches regex 0',
    '  0: addresses 10.0.0.0-10.255.255.255 2001:db8:0:0:0:0:0:0-2001:db8:0:0:0:0:0:3',
    '  0: DFA of ',
  ]) {
    assert.ok(text.includes(line), `${line}\nis not in\n${text}`);
  }
  assert.match(disassemble(compileHosts([{ name: 'a', hostnames: ['h'] }])), /image: hosts[^]*\n {2}h -> app 0\n/);
});

test('whatever the bytes are, it neither throws nor runs away', () => {
  assert.equal(disassemble(new Uint8Array(3)), 'not a Sallyport image\n');
  const change = fc.tuple(fc.integer({ min: 4, max: image.length - 1 }), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 0, max: image.length }),
      (changes, length) => {
        const copy = image.slice();
        for (const [at, byte] of changes) copy[at] = byte;
        assert.ok(disassemble(copy.subarray(0, length)).length < 1_000_000);
      },
    ),
    { numRuns: 300 },
  );
});
