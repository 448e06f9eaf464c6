# syntax=docker/dockerfile:1
# The image of calendly-sync: `docker build -t calendly-sync .`, then `docker run --env-file .env calendly-sync sync`.

FROM node:22-alpine AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
COPY .ci/prepare.mjs .ci/
COPY bin bin
COPY src src
COPY sql sql
# The prepare script builds dist/; then the development dependencies go.
RUN npm ci && npm prune --omit=dev --ignore-scripts

FROM node:22-alpine
ENV NODE_ENV=production CALENDLY_SYNC_HOME=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/sql sql
# The embedded database and the locks of a sync; only needed with DATABASE_URL=embedded.
RUN ln -s /app/dist/bin/calendly-sync.js /usr/local/bin/calendly-sync && mkdir /data && chown node:node /data
USER node
WORKDIR /data
# For `webhook serve`; the other commands end before the first check.
HEALTHCHECK --start-period=20s CMD wget -qO /dev/null "http://127.0.0.1:${PORT:-8787}/healthz" || exit 1
ENTRYPOINT ["calendly-sync"]
CMD ["--help"]
