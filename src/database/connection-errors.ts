/** Why a connection to a server could not be opened, and what to change. Pure; shows no password. */
import { isIP } from 'node:net';
import type { ErrorCode } from '../errors.js';

export interface Explanation {
  code: ErrorCode;
  message: string;
  hint: string;
}

// Node's names for OpenSSL's verification errors do not share a prefix.
const TLS_CODES = /^(ERR_(SSL|TLS|OSSL)_|EPROTO$|UNABLE_TO_|INVALID_(CA|PURPOSE)|HOSTNAME_MISMATCH)|CERT|CRL/;

/**
 * Explains an error of the driver while connecting; null if it is another kind of error. @param label the server, for
 * people
 */
export function explainConnectionError(error: Error, driverCode: string, label: string): Explanation | null {
  const refused = (message: string, hint: string): Explanation => ({
    code: 'database_refused',
    message,
    hint,
  });
  if (TLS_CODES.test(driverCode)) {
    return refused(
      `The TLS connection to the database at ${label} failed: ${error.message} (${driverCode}).`,
      'Check sslmode in DATABASE_URL. For a private CA, add sslrootcert=FILE to the URL, ' +
        'or set NODE_EXTRA_CA_CERTS=FILE.',
    );
  }
  if (/before secure TLS connection/.test(error.message)) {
    return refused(
      `The database at ${label} does not accept TLS.`,
      'Remove sslmode from DATABASE_URL, or set sslmode=prefer or sslmode=disable.',
    );
  }
  const { address } = error as { address?: unknown };
  const noRoute = ['ENETUNREACH', 'EADDRNOTAVAIL', 'EHOSTUNREACH'].includes(driverCode);
  if (noRoute && typeof address === 'string' && isIP(address) === 6) {
    return {
      code: 'database_unreachable',
      message: `The database at ${label} has only an IPv6 address, and this machine has no IPv6 route (${driverCode}).`,
      hint: "Use the connection URL of the provider's pooler, which has an IPv4 address.",
    };
  }
  if (driverCode === '28000' && /no encryption|SSL off/i.test(error.message)) {
    return refused(
      `The database at ${label} requires TLS: ${error.message} (28000).`,
      'Add sslmode=require to DATABASE_URL.',
    );
  }
  if (['28P01', '28000', '3D000'].includes(driverCode)) {
    return refused(
      `The database at ${label} refused the connection: ${error.message} (${driverCode}).`,
      'Check user, password and database name in DATABASE_URL.',
    );
  }
  return null;
}
