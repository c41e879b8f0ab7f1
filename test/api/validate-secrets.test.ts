import { expect, it } from 'vitest';
import { validate } from '../../src/api/shared/validate.js';

const schema = {
  type: 'object',
  properties: { password: { type: 'object' }, name: { type: 'string' } },
};

it('values of secret fields do not come back, whatever their type', () => {
  for (const password of ['geheim', 424_242, ['geheim']]) {
    const check = () => validate(schema, { password });
    expect(check).toThrow("attribute password. Value: ***. *** is not of type 'object'");
  }
  expect(() => validate(schema, { name: 5 })).toThrow("attribute name. Value: 5. 5 is not of type 'string'");
});
