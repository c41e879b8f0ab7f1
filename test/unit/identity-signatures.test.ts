import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  checkEc2Signature,
  ec2Signature,
  type SignedRequest,
} from '../../src/core/credential/ec2-signature.js';
import { checkS3Signature } from '../../src/core/credential/s3-signature.js';
import { hmacSha1, parseAuthorization, signatureBase } from '../../src/core/oauth/signature.js';

interface Vector {
  readonly name: string;
  readonly secret: string;
  readonly request: SignedRequest;
  readonly signature: string;
}

/** Made with keystoneclient's Ec2Signer. */
const vectors = JSON.parse(
  readFileSync(new URL('../golden/identity/ec2-signatures.json', import.meta.url), 'utf8'),
) as Vector[];

describe('EC2 signatures', () => {
  it.each(vectors.map((vector) => [vector.name, vector] as const))('%s', (_, vector) => {
    const { secret, request, signature } = vector;
    expect(ec2Signature(secret, request)).toBe(signature);
    expect(() => checkEc2Signature(secret, { ...request, signature })).not.toThrow();
    expect(() => checkEc2Signature(`${secret}x`, { ...request, signature })).toThrow(
      'Invalid EC2 signature.',
    );
  });

  it('are those of the published test suite of version 4 (get-vanilla)', () => {
    const request = {
      access: 'AKIDEXAMPLE',
      verb: 'GET',
      host: 'example.amazonaws.com',
      path: '/',
      params: {},
      headers: {
        Host: 'example.amazonaws.com',
        'X-Amz-Date': '20150830T123600Z',
        Authorization:
          'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
      },
      body_hash: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    };
    expect(ec2Signature('wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', request)).toBe(
      '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    );
  });

  it('are also good for the host without its port', () => {
    const { secret, request } = vectors.find((vector) => vector.name.startsWith('version 2'))!;
    const signature = ec2Signature(secret, { ...request, host: 'cloud.example.org' });
    expect(() => checkEc2Signature(secret, { ...request, signature })).not.toThrow();
  });

  it.each([
    [{}],
    [{ signature: '' }],
    [{ signature: 'x', params: { SignatureVersion: '3' } }],
    [{ signature: 'x', headers: { Authorization: 'AWS4-HMAC-SHA256 nonsense' } }],
    [{ signature: 'x', headers: { Authorization: 7 } }],
  ])('refuse %j', (request) => {
    expect(() => checkEc2Signature('secret', { access: 'a', ...request })).toThrow();
  });

  it('of an empty secret are never good', () => {
    const request = { access: 'a', params: { SignatureVersion: '2' } };
    const signature = ec2Signature('', request);
    expect(() => checkEc2Signature('', { ...request, signature })).toThrow();
  });
});

describe('S3 signatures', () => {
  const encode = (text: string) => Buffer.from(text).toString('base64url');

  it('of the published example of header authentication are good', () => {
    const text = 'GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/awsexamplebucket1/photos/puppy.jpg';
    const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
    expect(() => checkS3Signature(secret, encode(text), 'qgk2+6Sv9/oM7G3qLEjTH1a1l1g=')).not.toThrow();
    expect(() => checkS3Signature(secret, encode(`${text}x`), 'qgk2+6Sv9/oM7G3qLEjTH1a1l1g=')).toThrow();
  });

  it('of version 4 are for S3, IAM and STS only', () => {
    // the published example of GET Object
    const text = (service: string) =>
      [
        'AWS4-HMAC-SHA256',
        '20130524T000000Z',
        `20130524/us-east-1/${service}/aws4_request`,
        '7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972',
      ].join('\n');
    const secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
    const signature = 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41';
    expect(() => checkS3Signature(secret, encode(text('s3')), signature)).not.toThrow();
    for (const bad of [text('ec2'), `${text('s3')}\n`, 'AWS4']) {
      expect(() => checkS3Signature(secret, encode(bad), signature)).toThrow();
    }
  });
});

describe('OAuth1 signatures', () => {
  it.each([
    [
      'of a request with a query',
      'GET',
      'http://photos.example.net/photos?file=vacation.jpg&size=original',
      'realm="Photos", oauth_consumer_key="dpf43f3p2l4k3l03", oauth_token="nnch734d00sl2jdk", oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131202", oauth_nonce="chapoH", oauth_signature="MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D"',
      'pfkkdhi9sl3r4s00',
      'MdpQcU8iPSUjWoN/UDMsK2sui9I=',
    ],
  ])('%s are those of RFC 5849', (_, method, url, header, tokenSecret, signature) => {
    const base = signatureBase(method, url, parseAuthorization(`OAuth ${header}`));
    expect(hmacSha1(base, 'kd94hf93k423kf44', tokenSecret)).toBe(signature);
  });

  it('have the base string of RFC 5849, 3.4.1.1', () => {
    const header =
      'OAuth realm="Example", oauth_consumer_key="9djdj82h48djs9d2", oauth_token="kkk9d7dh3k39sjv7", oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131201", oauth_nonce="7d8f3e4a", oauth_signature="bYT5CMsGcbgUdFHObYMEfcx6bsw%3D"';
    const form = [
      ['c2', ''],
      ['a3', '2 q'],
    ] as const;
    const url = 'http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b';
    expect(signatureBase('POST', url, [...parseAuthorization(header), ...form])).toBe(
      'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7',
    );
  });

  it.each([undefined, '', 'Basic eA==', 'OAuth nonsense', 'OAuth a="%zz"'])('refuse header %s', (header) => {
    expect(() => parseAuthorization(header)).toThrow();
  });
});
