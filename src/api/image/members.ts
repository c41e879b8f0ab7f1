import { badRequest } from '../../core/errors.js';
import {
  addImageMember,
  answerImageOffer,
  imageMember,
  imageMembers,
  removeImageMember,
} from '../../core/image/members.js';
import { setImageTag } from '../../core/image/update.js';
import type { Operation } from '../shared/operation.js';
import { ADD_MEMBER, ANSWER_OFFER } from './schemas.js';
import { memberView } from './view.js';

const MEMBER = 'rule:project_member_or_admin';
const READER = 'rule:project_reader_or_admin';
const MEMBERS = '/v2/images/:image_id/members';

export const memberOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: MEMBERS,
    policy: { name: 'get_members', rule: READER },
    summary: 'List the members of a shared image',
    status: 200,
    handler: async ({ app, ctx, params }) => ({
      members: (await imageMembers(app, ctx, params.image_id!)).map(memberView),
      schema: '/v2/schemas/members',
    }),
  },
  {
    method: 'POST',
    path: MEMBERS,
    policy: { name: 'add_member', rule: MEMBER },
    summary: 'Offer a shared image to a project',
    status: 200,
    body: ADD_MEMBER,
    handler: async ({ app, ctx, params, body }) =>
      memberView(await addImageMember(app, ctx, params.image_id!, body.member)),
  },
  {
    method: 'GET',
    path: `${MEMBERS}/:member_id`,
    policy: { name: 'get_member', rule: READER },
    summary: 'Show a member of a shared image',
    status: 200,
    handler: async ({ app, ctx, params }) =>
      memberView(await imageMember(app, ctx, params.image_id!, params.member_id!)),
  },
  {
    method: 'PUT',
    path: `${MEMBERS}/:member_id`,
    policy: { name: 'modify_member', rule: MEMBER },
    summary: 'Accept or reject a shared image',
    status: 200,
    body: ANSWER_OFFER,
    handler: async ({ app, ctx, params, body }) =>
      memberView(await answerImageOffer(app, ctx, params.image_id!, params.member_id!, body.status)),
  },
  {
    method: 'DELETE',
    path: `${MEMBERS}/:member_id`,
    policy: { name: 'delete_member', rule: MEMBER },
    summary: 'Take back the offer of a shared image',
    status: 204,
    handler: async ({ app, ctx, params }) =>
      await removeImageMember(app, ctx, params.image_id!, params.member_id!),
  },
  {
    method: 'PUT',
    path: '/v2/images/:image_id/tags/:tag',
    policy: { name: 'modify_image', rule: MEMBER },
    summary: 'Add a tag to an image',
    status: 204,
    handler: async ({ app, ctx, params }) => {
      if (params.tag!.length > 255) throw badRequest('A tag has at most 255 characters.');
      await setImageTag(app, ctx, params.image_id!, params.tag!, true);
    },
  },
  {
    method: 'DELETE',
    path: '/v2/images/:image_id/tags/:tag',
    policy: { name: 'modify_image', rule: MEMBER },
    summary: 'Remove a tag from an image',
    status: 204,
    handler: async ({ app, ctx, params }) =>
      await setImageTag(app, ctx, params.image_id!, params.tag!, false),
  },
];
