import { describe, expect, it } from 'vitest';
import { base32Bytes, stepOf, totpCode } from '../../src/core/identity/totp.js';

const SECRET = Buffer.from('12345678901234567890');

describe('one-time passcodes', () => {
  it('are those of RFC 6238, appendix B', () => {
    const vectors: [seconds: number, code: string][] = [
      [59, '94287082'],
      [1_111_111_109, '07081804'],
      [1_111_111_111, '14050471'],
      [1_234_567_890, '89005924'],
      [2_000_000_000, '69279037'],
      [20_000_000_000, '65353130'],
    ];
    for (const [seconds, code] of vectors) expect(totpCode(SECRET, stepOf(seconds * 1000), 8)).toBe(code);
  });

  it('have six digits, as in RFC 4226, appendix D', () => {
    const codes = Array.from({ length: 10 }, (_, counter) => totpCode(SECRET, counter));
    expect(codes).toEqual([
      '755224',
      '287082',
      '359152',
      '969429',
      '338314',
      '254676',
      '287922',
      '162583',
      '399871',
      '520489',
    ]);
  });

  it('come from secrets in base32 (RFC 4648, section 10), padded or not', () => {
    const vectors: [base32: string, text: string][] = [
      ['MY======', 'f'],
      ['MZXQ====', 'fo'],
      ['MZXW6===', 'foo'],
      ['MZXW6YQ=', 'foob'],
      ['MZXW6YTB', 'fooba'],
      ['MZXW6YTBOI======', 'foobar'],
      ['mzxw6ytboi', 'foobar'],
    ];
    for (const [base32, text] of vectors) expect(base32Bytes(base32)?.toString()).toBe(text);
    for (const none of ['', '=', 'M', 'MZXW1', 'not base32!', '{"secret":"MY"}']) {
      expect(base32Bytes(none), none).toBeNull();
    }
  });
});
