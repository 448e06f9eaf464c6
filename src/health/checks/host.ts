/** Checks that the application's own tables are closed to the roles of a hosted database's API. */
import type { Check } from '../check.js';
import type { Problem } from '../problem.js';

export const checkHost: Check = ({ host }) =>
  host.flatMap(({ code, message, hint }): Problem[] =>
    code === 'meetings_open' ? [{ code, message, hint }] : [],
  );
