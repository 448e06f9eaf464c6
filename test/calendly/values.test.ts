import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseJson } from '../../src/calendly/json.js';
import { resourcePath } from '../../src/calendly/resource.js';
import { canonicalTimestamp, queryTime } from '../../src/calendly/timestamps.js';

test('a canonical timestamp keeps every microsecond, whatever the number of digits', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }),
      fc.integer({ min: 0, max: 999_999 }),
      fc.integer({ min: 0, max: 6 }),
      (date, micros, digits) => {
        const second = date.toISOString().slice(0, 19);
        const fraction = String(micros).padStart(6, '0').slice(0, digits);
        const written = digits === 0 ? `${second}Z` : `${second}.${fraction}Z`;
        expect(canonicalTimestamp(written)).toBe(`${second}.${fraction.padEnd(6, '0')}Z`);
      },
    ),
  );
});

test('a timestamp of another zone becomes UTC, and text that is not a timestamp null', () => {
  expect(canonicalTimestamp('2025-01-01T01:30:00.5+02:00')).toBe('2024-12-31T23:30:00.500000Z');
  expect(canonicalTimestamp('2025-01-01T01:30Z')).toBe('2025-01-01T01:30:00.000000Z');
  for (const none of [null, undefined, '', 'soon', '2025-01-01', '2025-13-01T00:00:00Z']) {
    expect(canonicalTimestamp(none)).toBeNull();
  }
});

test('a time in a query has six fraction digits, never three', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000_000_000_000 }), (ms) => {
      expect(queryTime(ms)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      expect(Date.parse(queryTime(ms))).toBe(ms);
    }),
  );
});
test('a resource URI gives its path, whatever host it names', () => {
  expect(resourcePath('https://api.calendly.com/scheduled_events/ABC')).toBe('/scheduled_events/ABC');
  expect(resourcePath('http://evil.example/scheduled_events/ABC/')).toBe('/scheduled_events/ABC');
  expect(() => resourcePath('ABC')).toThrow('not the URI');
  expect(() => resourcePath('https://api.calendly.com/')).toThrow('not the URI');
  expect(() => resourcePath('x:.host/scheduled_events/ABC')).toThrow('not the URI');
});
test('parsed JSON contains neither U+0000 nor a lone surrogate', () => {
  expect(parseJson('{"a":"x\\u0000y","b":["\\ud800"],"c\\u0000":1}')).toEqual({
    a: 'x\ufffdy',
    b: ['\ufffd'],
    'c\ufffd': 1,
  });
  expect(parseJson('{"pair":"\\ud83d\\ude00"}')).toEqual({ pair: '😀' });
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const clean = JSON.stringify(parseJson(JSON.stringify(value)));
      expect(clean).not.toMatch(/\\u0000|\\ud[89a-f]/i);
    }),
  );
});
