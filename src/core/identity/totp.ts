import { createHmac } from 'node:crypto';

/** Seconds for which a passcode is shown. */
const PERIOD = 30;
const DIGITS = 6;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The passcode of a time step (RFC 6238 with HMAC-SHA-1, as authenticator programs use it). */
export function totpCode(secret: Buffer, step: number, digits = DIGITS): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', secret).update(counter).digest();
  // RFC 4226, 5.3: the last four bits say where the number begins
  const number = mac.readUInt32BE(mac.at(-1)! & 0x0f) & 0x7fff_ffff;
  return String(number % 10 ** digits).padStart(digits, '0');
}

/** The time step of a time in milliseconds since 1970. */
export function stepOf(milliseconds: number): number {
  return Math.floor(milliseconds / 1000 / PERIOD);
}

/** The bytes of a text in base32 (RFC 4648), padded or not, in either case; null when it is none or empty. */
export function base32Bytes(text: string): Buffer | null {
  const digits = text.trim().toUpperCase().replace(/=+$/, '');
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const digit of digits) {
    const five = ALPHABET.indexOf(digit);
    if (five < 0) return null;
    value = ((value << 5) | five) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >> bits) & 0xff);
  }
  return bytes.length === 0 ? null : Buffer.from(bytes);
}
