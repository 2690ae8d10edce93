/**
 * The types of `@libsql/client/http` mention a WebSocket package that has none of its own. Nothing of it is used here.
 *
 * @module
 */
declare module "@libsql/isomorphic-ws";
