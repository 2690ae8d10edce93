// Children that behave, wrangler above all: it talks to nobody, keeps its files in the state directory that it is given, and
// ends with everything that it started. Used by start.mjs and seed-d1.mjs.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STOP_WITHIN_MS = 5_000;

/** Variables that turn off telemetry, error reports, log files, update checks and the lookup of the machine's location. */
export function quiet(state) {
  return {
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_SEND_ERROR_REPORTS: "false",
    WRANGLER_WRITE_LOGS: "false",
    WRANGLER_HIDE_BANNER: "true",
    WRANGLER_REGISTRY_PATH: join(state, "registry"),
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
  };
}

/** Runs a script under this Node, in a process group of its own: a Ctrl+C reaches us alone, and the group ends as a whole. */
export function run(script, args, env = {}) {
  const options = { cwd: ROOT, env: { ...process.env, ...env }, stdio: ["ignore", "inherit", "inherit"], detached: true };
  return spawn(process.execPath, [join(ROOT, script), ...args], options);
}

/** Starts `wrangler dev`. */
export function runWrangler({ port, state, args = [] }) {
  const where = ["dev", "--local", "--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0", "--persist-to", state];
  const silence = ["--log-level", "error", "--show-interactive-dev-session", "false"];
  // Not the file in its bin/: that one starts this one, and does not pass signals on.
  return run("node_modules/wrangler/wrangler-dist/cli.js", [...where, ...silence, ...args], quiet(state));
}

/** Ends a process group: asks its leader, who knows in which order to end the others, and after a while insists. */
export async function stopGroup(pid) {
  signal(pid, "SIGTERM");
  const insistAt = Date.now() + STOP_WITHIN_MS;
  while (signal(-pid, 0) && Date.now() < insistAt) await sleep(50);
  killGroup(pid);
}

/** Ends at once what is left of a process group. */
export function killGroup(pid) {
  signal(-pid, "SIGKILL");
}

/** Whether there was anybody to signal; 0 only asks. */
function signal(pid, name) {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}
