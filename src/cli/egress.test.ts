import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectAddress, egressPolicy, pin, refusal } from './egress.ts';

const closed = egressPolicy([], false);

test('loopback, link-local, metadata, unspecified and multicast addresses are refused', () => {
  for (const address of [
    '127.0.0.1',
    '127.255.0.9',
    '::1',
    '0.0.0.0',
    '0.1.2.3',
    '::',
    '169.254.169.254',
    '169.254.0.1',
    '100.100.100.200',
    '192.0.0.192',
    'fe80::1',
    'febf::1',
    'fec0::1',
    'fd00:ec2::254',
    'fd20:ce::254',
    '224.0.0.1',
    'ff02::1',
    '255.255.255.255',
  ]) {
    assert.notEqual(refusal(address, closed), null, address);
  }
});

test('another spelling of a refused IPv4 address is refused too', () => {
  for (const address of [
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:169.254.169.254',
    '::ffff:0:127.0.0.1',
    '::127.0.0.1',
    '64:ff9b::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    '0:0:0:0:0:ffff:7f00:0001',
  ]) {
    assert.notEqual(refusal(address, closed), null, address);
  }
});

test('public and private addresses are where origins live', () => {
  for (const address of [
    '10.0.0.1',
    '172.16.3.4',
    '192.168.1.1',
    '93.184.216.34',
    'fd12:3456::1',
    '2606:4700::1111',
    '2002:0a00:1::1',
  ]) {
    assert.equal(refusal(address, closed), null, address);
  }
});

test('the operator opens what is listed and nothing beside it', () => {
  const open = egressPolicy(['169.254.10.0/24', '127.0.0.2', 'fe80::/64'], false);
  assert.equal(refusal('169.254.10.7', open), null);
  assert.notEqual(refusal('169.254.11.7', open), null);
  assert.equal(refusal('127.0.0.2', open), null);
  assert.equal(refusal('::ffff:127.0.0.2', open), null);
  assert.notEqual(refusal('127.0.0.3', open), null);
  assert.equal(refusal('fe80::5', open), null);
  const loopback = egressPolicy([], true);
  assert.equal(refusal('127.0.0.1', loopback), null);
  assert.equal(refusal('::1', loopback), null);
  assert.notEqual(refusal('169.254.169.254', loopback), null);
});

test('what is not an address or a block is one sentence', () => {
  for (const entry of [
    'localhost',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    '',
    '10.0.0/8',
    '10.0.0.0/-1',
    '10.0.0.0/0x8',
  ]) {
    assert.throws(() => egressPolicy([entry], false), { name: 'Failure' }, entry);
  }
});

test('an address is pinned as it is; a denied one says who may open it', async () => {
  const good = await pin('http://10.1.2.3:80', closed);
  assert.equal(connectAddress(good), '10.1.2.3:80');
  const six = await pin('http://[fd12::1]:81', closed);
  assert.equal(connectAddress(six), '[fd12::1]:81');
  const bad = await pin('http://127.0.0.1:9001', closed);
  assert.equal(bad.address, null);
  assert.match(bad.problem ?? '', /127\.0\.0\.1 is a loopback address.*--allow-loopback/);
  assert.equal(connectAddress(bad), null);
});

test('a name that leads to loopback is denied as loopback is', async () => {
  const found = await pin('http://localhost:1', closed);
  assert.equal(found.address, null);
  assert.match(found.problem ?? '', /is denied/);
  const kept = await pin('http://localhost:1', egressPolicy([], true), '127.0.0.1');
  assert.equal(kept.address, '127.0.0.1');
});
