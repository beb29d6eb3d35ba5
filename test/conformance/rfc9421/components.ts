/**
 * Values of components as sections 2.1 to 2.4 of RFC 9421 show them, and what section 2.5 says must be an error, in our
 * words.
 */
import type { ComponentFault, FieldTypes } from '../../../src/agents/component.ts';

export interface ComponentCase {
  readonly id: string;
  /** Head of a message; `< ` before the lines of the request that a response answers, `~ ` before those of trailers. */
  readonly message: readonly string[];
  /** As it stands between the parentheses of Signature-Input. */
  readonly component: string;
  /** The value, or why there is none. */
  readonly value?: string;
  readonly fault?: ComponentFault;
  readonly scheme?: 'http';
  readonly types?: FieldTypes;
}

const FIELDS = [
  'GET / HTTP/1.1',
  'Host: www.example.com',
  'Date: Tue, 20 Apr 2021 02:07:56 GMT',
  'X-OWS-Header:   Leading and trailing whitespace.   ',
  'X-Obs-Fold-Header: Obsolete\n    line folding.',
  'Cache-Control: max-age=60',
  'Cache-Control:    must-revalidate',
  'Example-Dict:  a=1,    b=2;x=1;y=2,   c=(a   b   c), d',
  'X-Empty-Header: ',
];
const TYPES: FieldTypes = { 'example-dict': 'dictionary' };
const COMMAS = ['GET / HTTP/1.1', 'Host: www.example.com', 'Example-Header: value, with, lots', 'Example-Header: of, commas']; // prettier-ignore
const COMMAS_JOINED = ['GET / HTTP/1.1', 'Host: www.example.com', 'Example-Header: value, with, lots, of, commas'];
const QUERY = [
  'GET /parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something HTTP/1.1',
  'Host: www.example.com',
];
const request = (target: string, host = 'www.example.com', method = 'GET') => [`${method} ${target} HTTP/1.1`, `Host: ${host}`]; // prettier-ignore
const PARAMETERS = request('/path?param=value&foo=bar&baz=batman&qux=');
const RESPONSE = [
  'HTTP/1.1 503 Service Unavailable',
  'Content-Type: application/json',
  '~ Expires: Wed, 9 Nov 2022 07:28:00 GMT',
  '< POST /foo?param=Value HTTP/1.1',
  '< Host: example.com',
  '< Content-Type: text/plain',
  '< Content-Digest: sha-256=:AAAA:,  sha-512=:BBBB:',
];

// prettier-ignore
export const COMPONENTS: readonly ComponentCase[] = [
  { id: '2.1 host', message: FIELDS, component: '"host"', value: 'www.example.com' },
  { id: '2.1 white space around', message: FIELDS, component: '"x-ows-header"', value: 'Leading and trailing whitespace.' },
  { id: '2.1 a folded line', message: FIELDS, component: '"x-obs-fold-header"', value: 'Obsolete line folding.' },
  { id: '2.1 two lines', message: FIELDS, component: '"cache-control"', value: 'max-age=60, must-revalidate' },
  { id: '2.1 as it stands', message: FIELDS, component: '"example-dict"', value: 'a=1,    b=2;x=1;y=2,   c=(a   b   c), d' },
  { id: '2.1 an empty field', message: FIELDS, component: '"x-empty-header"', value: '' },
  { id: '2.1 an absent field', message: FIELDS, component: '"x-absent"', fault: 'component-absent' },
  { id: '2.1 a name in upper case', message: FIELDS, component: '"Host"', fault: 'component-malformed' },
  { id: '2.1.1 strict', message: FIELDS, component: '"example-dict";sf', types: TYPES, value: 'a=1, b=2;x=1;y=2, c=(a b c), d' },
  { id: '2.1.1 a type that nobody knows', message: FIELDS, component: '"example-dict";sf', fault: 'component-unsupported' },
  { id: '2.1.1 not of its type', message: FIELDS, component: '"cache-control";sf', types: { 'cache-control': 'item' }, fault: 'component-malformed' },
  { id: '2.1.2 an integer', message: FIELDS, component: '"example-dict";key="a"', types: TYPES, value: '1' },
  { id: '2.1.2 true', message: FIELDS, component: '"example-dict";key="d"', types: TYPES, value: '?1' },
  { id: '2.1.2 parameters', message: FIELDS, component: '"example-dict";key="b"', types: TYPES, value: '2;x=1;y=2' },
  { id: '2.1.2 an inner list', message: FIELDS, component: '"example-dict";key="c"', types: TYPES, value: '(a b c)' },
  { id: '2.1.2 an absent key', message: FIELDS, component: '"example-dict";key="e"', types: TYPES, fault: 'component-absent' },
  { id: '2.1.2 no dictionary', message: FIELDS, component: '"cache-control";key="a"', types: { 'cache-control': 'list' }, fault: 'component-unsupported' },
  { id: '2.1.3 two lines', message: COMMAS, component: '"example-header";bs', value: ':dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:' },
  { id: '2.1.3 one line', message: COMMAS_JOINED, component: '"example-header";bs', value: ':dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:' },
  { id: '2.1.3 with sf', message: FIELDS, component: '"example-dict";bs;sf', types: TYPES, fault: 'component-malformed' },
  { id: '2.1.3 with key', message: FIELDS, component: '"example-dict";bs;key="a"', types: TYPES, fault: 'component-malformed' },
  { id: '2.1.4 a trailer', message: RESPONSE, component: '"expires";tr', value: 'Wed, 9 Nov 2022 07:28:00 GMT' },
  { id: '2.1.4 a trailer is no header', message: RESPONSE, component: '"expires"', fault: 'component-absent' },
  { id: '2.1.4 a header is no trailer', message: RESPONSE, component: '"content-type";tr', fault: 'component-absent' },
  { id: '2.1.4 trailers that are not seen', message: FIELDS, component: '"host";tr', fault: 'component-unsupported' },
  { id: '2.2 an unknown name', message: FIELDS, component: '"@unknown"', fault: 'component-unsupported' },
  { id: '2.2.1 method', message: request('/', 'www.example.com', 'POST'), component: '"@method"', value: 'POST' },
  { id: '2.2.2 target URI', message: request('/path?param=value'), component: '"@target-uri"', value: 'https://www.example.com/path?param=value' },
  { id: '2.2.3 authority', message: request('/path'), component: '"@authority"', value: 'www.example.com' },
  { id: '2.2.3 in lower case, without the default port', message: request('/', 'WWW.Example.com:443'), component: '"@authority"', value: 'www.example.com' },
  { id: '2.2.3 with another port', message: request('/', 'www.example.com:8443'), component: '"@authority"', value: 'www.example.com:8443' },
  { id: '2.2.3 the default port of the other scheme', message: request('/', 'www.example.com:443'), component: '"@authority"', scheme: 'http', value: 'www.example.com:443' },
  { id: '2.2.3 IPv6', message: request('/', '[2001:DB8::1]:443'), component: '"@authority"', value: '[2001:db8::1]' },
  { id: '2.2.4 scheme', message: request('/path'), component: '"@scheme"', scheme: 'http', value: 'http' },
  { id: '2.2.5 request target', message: request('/path?param=value'), component: '"@request-target"', value: '/path?param=value' },
  { id: '2.2.6 path', message: request('/path?param=value'), component: '"@path"', value: '/path' },
  { id: '2.2.6 an empty path', message: request(''), component: '"@path"', value: '/' },
  { id: '2.2.6 not decoded', message: request('/%7ea/../b%2fc'), component: '"@path"', value: '/%7ea/../b%2fc' },
  { id: '2.2.7 query', message: request('/path?param=value&foo=bar&baz=bat%2Dman'), component: '"@query"', value: '?param=value&foo=bar&baz=bat%2Dman' },
  { id: '2.2.7 without =', message: request('/path?queryString'), component: '"@query"', value: '?queryString' },
  { id: '2.2.7 none', message: request('/path'), component: '"@query"', value: '?' },
  { id: '2.2.8 baz', message: PARAMETERS, component: '"@query-param";name="baz"', value: 'batman' },
  { id: '2.2.8 an empty value', message: PARAMETERS, component: '"@query-param";name="qux"', value: '' },
  { id: '2.2.8 param', message: PARAMETERS, component: '"@query-param";name="param"', value: 'value' },
  { id: '2.2.8 a line break', message: QUERY, component: '"@query-param";name="var"', value: 'this%20is%20a%20big%0Amultiline%20value' },
  { id: '2.2.8 plus', message: QUERY, component: '"@query-param";name="bar"', value: 'with%20plus%20whitespace' },
  { id: '2.2.8 an encoded name', message: QUERY, component: '"@query-param";name="fa%C3%A7ade%22%3A%20"', value: 'something' },
  { id: '2.2.8 an absent name', message: PARAMETERS, component: '"@query-param";name="x"', fault: 'component-absent' },
  { id: '2.2.8 twice', message: request('/?a=1&a=1'), component: '"@query-param";name="a"', fault: 'component-malformed' },
  { id: '2.2.8 without a name', message: PARAMETERS, component: '"@query-param"', fault: 'component-malformed' },
  { id: '2.2.8 a name elsewhere', message: PARAMETERS, component: '"@path";name="a"', fault: 'component-malformed' },
  { id: '2.2.9 status', message: RESPONSE, component: '"@status"', value: '503' },
  { id: '2.2.9 in a request', message: FIELDS, component: '"@status"', fault: 'component-malformed' },
  { id: '2.4 of the request', message: RESPONSE, component: '"@authority";req', value: 'example.com' },
  { id: '2.4 a header of the request', message: RESPONSE, component: '"content-type";req', value: 'text/plain' },
  { id: '2.4 a member of the request', message: RESPONSE, component: '"content-digest";req;key="sha-512"', value: ':BBBB:' },
  { id: '2.4 a request does not say req', message: FIELDS, component: '"host";req', fault: 'component-malformed' },
  { id: '2.4 a response must say req', message: RESPONSE, component: '"@method"', fault: 'component-malformed' },
  { id: '2.4 no request is known', message: RESPONSE.slice(0, 3), component: '"@method";req', fault: 'component-unsupported' },
  { id: '2.5 an unknown parameter', message: FIELDS, component: '"host";unknown', fault: 'component-unsupported' },
  { id: '2.5 a flag with a value', message: FIELDS, component: '"example-dict";sf=?0', types: TYPES, fault: 'component-malformed' },
  { id: '2.5 a parameter of fields', message: FIELDS, component: '"@method";sf', fault: 'component-malformed' },
  { id: '2.5 a value that is not ASCII', message: [...FIELDS, 'X-Name: Zoë'], component: '"x-name"', fault: 'component-malformed' },
  { id: '2.5 twice', message: FIELDS, component: '"host" "host"', fault: 'component-duplicate' },
  { id: '2.5 twice, parameters in another order', message: RESPONSE, component: '"content-digest";req;key="sha-512" "content-digest";key="sha-512";req', fault: 'component-duplicate' },
  { id: '2.3 the signature itself', message: FIELDS, component: '"@signature-params"', fault: 'component-unsupported' },
];
