/**
 * The program for Node. `lanes.ts` runs it.
 *
 * @module
 */
import { storagesAnywhere } from "./anywhere.ts";
import { openNodeSqlite } from "./node-sqlite.ts";
import { main } from "./process.ts";
import { storagesOverSockets } from "./sockets.ts";

await main(`Node ${process.versions.node}`, (addresses) => ({
  ...storagesAnywhere(addresses),
  ...storagesOverSockets(addresses),
  "sql, sqlite": openNodeSqlite,
}));
