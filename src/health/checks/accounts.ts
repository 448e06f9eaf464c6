/** Checks that at least one Calendly account is connected. What is wrong with one user is in `../status.ts`. */
import type { Check } from '../check.js';

export const checkAccounts: Check = ({ users }) => {
  if (users.length > 0) return [];
  const hint = 'CALENDLY_TOKEN=… calendly-sync sync';
  return [{ code: 'no_account', message: 'no Calendly account is connected yet', hint }];
};
