/** Checks that Calendly accepts CALENDLY_TOKEN. One that never reached an account leaves no failed run. */
import type { Check } from '../check.js';
import { NEW_TOKEN } from '../status.js';

export const checkToken: Check = ({ token: { state, error } }) => {
  if (state !== 'rejected') return [];
  const message = `Calendly rejects CALENDLY_TOKEN: ${error ?? ''}`;
  return [{ code: 'token_rejected', message, hint: `${NEW_TOKEN}, then: calendly-sync sync` }];
};
